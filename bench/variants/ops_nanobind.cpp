// The operations in nanobind, as its documentation writes such things.
//
// Where its binary has no operation, that is because there is no equal: a function that takes keywords as they come gets
// a dict here.
#include <nanobind/nanobind.h>
#include <nanobind/operators.h>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

struct Small {
    double x = 1.0, y = 1.0;
};

struct Point {
    double x, y;

    double norm() const { return x * x + y * y; }
    void scale(double factor)
    {
        x *= factor;
        y *= factor;
    }
    Point operator+(const Point &other) const { return { x + other.x, y + other.y }; }
    Point operator-() const { return { -x, -y }; }
    bool operator==(const Point &other) const { return x == other.x && y == other.y; }
};

struct Node {
    nb::object value;
};

struct Echo {
};

int traverse_node(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    // Not yet constructed if the collector runs in between.
    if (nb::inst_ready(self))
        Py_VISIT(nb::inst_ptr<Node>(self)->value.ptr());
    return 0;
}

int clear_node(PyObject *self)
{
    nb::inst_ptr<Node>(self)->value.reset();
    return 0;
}

PyType_Slot node_slots[] = {
    { Py_tp_traverse, (void *)traverse_node },
    { Py_tp_clear, (void *)clear_node },
    { 0, nullptr },
};

// Interned once, and never released, as a module can outlive neither.
PyObject *name_value, *name_take;

} // namespace

NB_MODULE(ops, m)
{
    name_value = PyUnicode_InternFromString("value");
    name_take = PyUnicode_InternFromString("take");

    m.def("noargs", [] {});
    m.def("onearg", [](nb::object a) { return a; });
    m.def("threeargs", [](nb::handle, nb::handle, nb::object c) { return c; });
    m.def("keywords", [](nb::handle, nb::handle, nb::object c) { return c; }, "a"_a, "b"_a, "c"_a);

    m.def("add_int", [](long value) { return value + 1; });
    m.def("add_float", [](double value) { return value + 1.0; });
    m.def("copy_str", [](const char *text) { return text; });

    m.def("list_index", [](nb::list list) {
        long sum = 0;
        for (size_t i = 0, size = list.size(); i < size; i++)
            sum += nb::cast<long>(list[i]);
        return sum;
    });
    // Not of nb::list, whose iteration looks into the list itself: any iterable, as in the other variants.
    m.def("list_iterate", [](nb::object list) {
        long sum = 0;
        for (nb::handle item : list)
            sum += nb::cast<long>(item);
        return sum;
    });
    m.def("list_build", [](nb::handle arg) {
        nb::list list;
        for (int i = 0; i < 10; i++)
            list.append(arg);
        return list;
    });
    m.def("tuple_build", [](nb::handle arg) { return nb::make_tuple(arg, arg, arg); });
    m.def("dict_build", [](nb::tuple keys) {
        nb::dict dict;
        for (nb::handle key : keys)
            dict[key] = key;
        return dict;
    });
    m.def("dict_lookup", [](nb::dict dict, nb::handle key) { return nb::object(dict[key]); });

    m.def("attr_get", [](nb::handle object) { return nb::getattr(object, nb::handle(name_value)); });
    m.def("attr_get_string", [](nb::handle object) { return nb::object(object.attr("value")); });
    m.def("attr_set", [](nb::handle object, nb::handle value) { nb::setattr(object, nb::handle(name_value), value); });
    m.def("call_back", [](nb::handle function, nb::handle arg) { return function(arg); });
    m.def("call_method", [](nb::handle object, nb::handle arg) { return object.attr(nb::handle(name_take))(arg); });

    m.def("raise_error", []() { throw nb::value_error("no"); });
    m.def("clear_error", [](nb::handle function) -> nb::object {
        try {
            return function();
        } catch (nb::python_error &error) {
            if (!error.matches(PyExc_ValueError))
                throw;
            return nb::none();
        }
    });

    nb::class_<Small>(m, "Small").def(nb::init<>());
    nb::class_<Point>(m, "Point")
        .def(nb::init<double, double>())
        .def("norm", &Point::norm)
        .def("scale", &Point::scale)
        .def_rw("x", &Point::x)
        .def_prop_rw("height", [](const Point &p) { return p.y; }, [](Point &p, double height) { p.y = height; })
        .def(nb::self + nb::self)
        .def(-nb::self)
        .def(nb::self == nb::self)
        .def("__bool__", [](const Point &p) { return p.x != 0.0 || p.y != 0.0; })
        .def("__len__", [](const Point &) { return 2; })
        .def("__getitem__",
             [](const Point &p, Py_ssize_t index) {
                 if (index != 0 && index != 1)
                     throw nb::index_error("only 0 and 1");
                 return index == 0 ? p.x : p.y;
             })
        .def("__contains__", [](const Point &p, double value) { return p.x == value || p.y == value; })
        .def("__hash__", [](const Point &p) { return (Py_hash_t)p.x + 1; })
        .def("__repr__", [](const Point &) { return "Point()"; });
    nb::class_<Node>(m, "Node", nb::type_slots(node_slots))
        .def(nb::init<nb::object>())
        .def_rw("value", &Node::value);
    nb::class_<Echo>(m, "Echo")
        .def(nb::init<>())
        .def("__call__", [](const Echo &, nb::object arg) { return arg; })
        .def("__mul__", [](const Echo &, nb::object arg) { return arg; })
        .def("__pos__", [](nb::object self) { return self; }, nb::sig("def __pos__(self) -> Echo"))
        .def("__lt__", [](const Echo &, nb::object arg) { return arg; });
}
