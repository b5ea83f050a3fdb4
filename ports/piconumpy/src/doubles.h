/* What arrays do with their numbers. This needs neither API, so piconumpy.c and its twin both include it, and the two files differ
   only where the APIs do. */
#ifndef PICONUMPY_DOUBLES_H
#define PICONUMPY_DOUBLES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Sizes are of the type that Py_ssize_t and HPy_ssize_t stand for. Buffers are given a pointer to one. */
typedef struct {
    double *data;
    intptr_t size;
} Doubles;

/* For one that is all zeros: gets memory for items, which have no values yet. False if there is not enough. */
static inline bool doubles_allocate(Doubles *doubles, intptr_t size)
{
    if ((size_t)size <= (size_t)-1 / 2 / sizeof(double))
        doubles->data = (double *)malloc(size ? (size_t)size * sizeof(double) : 1);
    if (doubles->data == NULL)
        return false;
    doubles->size = size;
    return true;
}

static inline void doubles_set_zero(Doubles *doubles)
{
    memset(doubles->data, 0, (size_t)doubles->size * sizeof(double));
}

/* What stands on a side of an operator: an array, or a number. */
typedef struct {
    const double *data;
    intptr_t size;
    double number;
} Operand;

/* A number goes with any size. */
static inline bool operand_fits(const Operand *operand, intptr_t size)
{
    return operand->data == NULL || operand->size == size;
}

/* One loop for each way to pair arrays and numbers. */
#define CALCULATE(OPERATOR)                             \
    if (a && b)                                         \
        for (intptr_t i = 0; i < size; i++)             \
            to[i] = a[i] OPERATOR b[i];                 \
    else if (a)                                         \
        for (intptr_t i = 0; i < size; i++)             \
            to[i] = a[i] OPERATOR y;                    \
    else                                                \
        for (intptr_t i = 0; i < size; i++)             \
            to[i] = x OPERATOR b[i];

/* The result has memory for its items, and the operands fit its size. */
static inline void doubles_calculate(Doubles *result, const Operand *left, const Operand *right, char what)
{
    const intptr_t size = result->size;
    const double *restrict a = left->data, *restrict b = right->data;
    const double x = left->number, y = right->number;
    double *restrict to = result->data;
    switch (what) {
    case '+': CALCULATE(+) break;
    case '-': CALCULATE(-) break;
    case '*': CALCULATE(*) break;
    default: CALCULATE(/) break;
    }
}

static inline void doubles_map(double *to, const double *from, intptr_t size, double (*function)(double))
{
    for (intptr_t i = 0; i < size; i++)
        to[i] = function(from[i]);
}

static inline double negated(double value)
{
    return -value;
}

static inline bool doubles_has_index(const Doubles *doubles, intptr_t index)
{
    return index >= 0 && index < doubles->size;
}

/* The slice lies within the array and has `size` items. */
static inline void doubles_get_slice(const Doubles *doubles, intptr_t start, intptr_t step, intptr_t size, double *to)
{
    for (intptr_t i = 0; i < size; i++)
        to[i] = doubles->data[start + i * step];
}

/* The operand fits the slice. False if there is not enough memory for a copy. */
static inline bool doubles_set_slice(Doubles *doubles, intptr_t start, intptr_t step, intptr_t size, const Operand *operand)
{
    /* The array may be assigned to a part of itself. */
    const double *from = operand->data;
    double *copy = NULL;
    if (from == doubles->data) {
        copy = (double *)malloc((size_t)size * sizeof(double) + 1);
        if (copy == NULL)
            return false;
        memcpy(copy, from, (size_t)size * sizeof(double));
        from = copy;
    }
    for (intptr_t i = 0; i < size; i++)
        doubles->data[start + i * step] = from ? from[i] : operand->number;
    free(copy);
    return true;
}

/* There is at least one. */
static inline double doubles_mean(const Doubles *doubles)
{
    double sum = 0;
    for (intptr_t i = 0; i < doubles->size; i++)
        sum += doubles->data[i];
    return sum / (double)doubles->size;
}

#endif
