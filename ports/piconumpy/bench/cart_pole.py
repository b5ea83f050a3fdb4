"""A pole on a cart, by the method of Runge and Kutta: what a simulation with small arrays does."""

import math

GRAVITY, CART, POLE, LENGTH, FRICTION = 9.81, 1.0, 0.1, 0.5, 0.1


def derivative(np, state, force):
    """Of place and speed of the cart, angle and angular speed of the pole."""
    speed, angle, turning = state[1], state[2], state[3]
    sine, cosine = np.sin(angle), np.cos(angle)
    push = (force + POLE * LENGTH * turning * turning * sine - FRICTION * speed) / (CART + POLE)
    angular = (GRAVITY * sine - cosine * push) / (LENGTH * (4 / 3 - POLE * cosine * cosine / (CART + POLE)))
    result = np.empty(4)
    result[0] = speed
    result[1] = push - POLE * LENGTH * angular * cosine / (CART + POLE)
    result[2] = turning
    result[3] = angular
    return result


def step(np, state, force, dt):
    k1 = derivative(np, state, force)
    k2 = derivative(np, state + k1 * (dt / 2), force)
    k3 = derivative(np, state + k2 * (dt / 2), force)
    k4 = derivative(np, state + k3 * dt, force)
    return state + (k1 + k2 * 2 + k3 * 2 + k4) * (dt / 6)


def simulate(np, steps, dt=0.01):
    """The path of the cart and the pole: a list of lists of four numbers."""
    state = np.array([0.0, 0.0, 0.2, 0.0])
    path = np.zeros(steps)
    for index in range(steps):
        force = 10.0 * math.copysign(1.0, state[2])
        state = step(np, state, force, dt)
        path[index] = state[2]
    return state, path
