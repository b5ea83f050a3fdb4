//! The operations in PyO3, as its guide writes such things.
//!
//! Where the module has no operation, that is because there is no equal: a function that takes keywords as they come gets
//! a dict here.

use pyo3::prelude::*;

/// The module.
#[pymodule]
mod ops {
    use pyo3::PyTraverseError;
    use pyo3::exceptions::{PyIndexError, PyKeyError, PyValueError};
    use pyo3::gc::PyVisit;
    use pyo3::intern;
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyList, PyTuple};

    #[pyfunction]
    fn noargs() {}

    #[pyfunction]
    fn onearg(arg: Bound<'_, PyAny>) -> Bound<'_, PyAny> {
        arg
    }

    #[pyfunction]
    fn threeargs<'py>(_a: &Bound<'py, PyAny>, _b: &Bound<'py, PyAny>, c: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        c
    }

    #[pyfunction]
    fn keywords<'py>(a: &Bound<'py, PyAny>, b: &Bound<'py, PyAny>, c: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        let _ = (a, b);
        c
    }

    #[pyfunction]
    fn add_int(value: i64) -> i64 {
        value + 1
    }

    #[pyfunction]
    fn add_float(value: f64) -> f64 {
        value + 1.0
    }

    #[pyfunction]
    fn copy_str(text: &str) -> &str {
        text
    }

    #[pyfunction]
    fn list_index(list: &Bound<'_, PyList>) -> PyResult<i64> {
        let mut sum = 0;
        for index in 0..list.len() {
            sum += list.get_item(index)?.extract::<i64>()?;
        }
        Ok(sum)
    }

    /// Not of a PyList, whose iteration looks into the list itself: any iterable, as in the other variants.
    #[pyfunction]
    fn list_iterate(list: &Bound<'_, PyAny>) -> PyResult<i64> {
        let mut sum = 0;
        for item in list.try_iter()? {
            sum += item?.extract::<i64>()?;
        }
        Ok(sum)
    }

    #[pyfunction]
    fn list_build<'py>(arg: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(arg.py(), [arg; 10])
    }

    #[pyfunction]
    fn tuple_build<'py>(arg: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(arg.py(), [arg; 3])
    }

    #[pyfunction]
    fn dict_build<'py>(keys: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(keys.py());
        for key in keys.iter() {
            dict.set_item(&key, &key)?;
        }
        Ok(dict)
    }

    #[pyfunction]
    fn dict_lookup<'py>(dict: &Bound<'py, PyDict>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        dict.get_item(key)?.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    #[pyfunction]
    fn attr_get<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        object.getattr(intern!(object.py(), "value"))
    }

    #[pyfunction]
    fn attr_get_string<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        object.getattr("value")
    }

    #[pyfunction]
    fn attr_set(object: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        object.setattr(intern!(object.py(), "value"), value)
    }

    #[pyfunction]
    fn call_back<'py>(function: &Bound<'py, PyAny>, arg: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        function.call1((arg,))
    }

    #[pyfunction]
    fn call_method<'py>(object: &Bound<'py, PyAny>, arg: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        object.call_method1(intern!(object.py(), "take"), (arg,))
    }

    #[pyfunction]
    fn raise_error() -> PyResult<()> {
        Err(PyValueError::new_err("no"))
    }

    #[pyfunction]
    fn clear_error<'py>(function: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match function.call0() {
            Ok(result) => Ok(Some(result)),
            Err(error) if error.is_instance_of::<PyValueError>(function.py()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A struct, made without arguments.
    #[pyclass]
    struct Small {
        _x: f64,
        _y: f64,
    }

    #[pymethods]
    impl Small {
        #[new]
        fn new() -> Small {
            Small { _x: 1.0, _y: 1.0 }
        }
    }

    /// Methods, attributes and slots.
    #[pyclass]
    struct Point {
        #[pyo3(get, set)]
        x: f64,
        y: f64,
    }

    #[pymethods]
    impl Point {
        #[new]
        fn new(x: f64, y: f64) -> Point {
            Point { x, y }
        }

        fn norm(&self) -> f64 {
            self.x * self.x + self.y * self.y
        }

        fn scale(&mut self, factor: f64) {
            self.x *= factor;
            self.y *= factor;
        }

        #[getter]
        fn height(&self) -> f64 {
            self.y
        }

        #[setter]
        fn set_height(&mut self, height: f64) {
            self.y = height;
        }

        fn __add__(&self, other: &Point) -> Point {
            Point { x: self.x + other.x, y: self.y + other.y }
        }

        fn __neg__(&self) -> Point {
            Point { x: -self.x, y: -self.y }
        }

        fn __bool__(&self) -> bool {
            self.x != 0.0 || self.y != 0.0
        }

        fn __len__(&self) -> usize {
            2
        }

        fn __getitem__(&self, index: isize) -> PyResult<f64> {
            match index {
                0 => Ok(self.x),
                1 => Ok(self.y),
                _ => Err(PyIndexError::new_err("only 0 and 1")),
            }
        }

        fn __contains__(&self, value: f64) -> bool {
            self.x == value || self.y == value
        }

        fn __eq__(&self, other: &Point) -> bool {
            self.x == other.x && self.y == other.y
        }

        fn __hash__(&self) -> u64 {
            self.x as u64 + 1
        }

        fn __repr__(&self) -> &'static str {
            "Point()"
        }
    }

    /// Holds an object, so that the collector has to know it.
    #[pyclass]
    struct Node {
        value: Option<Py<PyAny>>,
    }

    #[pymethods]
    impl Node {
        #[new]
        fn new(value: Py<PyAny>) -> Node {
            Node { value: Some(value) }
        }

        #[getter]
        fn value(&self, py: Python<'_>) -> Option<Py<PyAny>> {
            self.value.as_ref().map(|value| value.clone_ref(py))
        }

        #[setter]
        fn set_value(&mut self, value: Py<PyAny>) {
            self.value = Some(value);
        }

        fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
            visit.call(&self.value)
        }

        fn __clear__(&mut self) {
            self.value = None;
        }
    }

    /// Gives back what it gets, when called or as an operand.
    #[pyclass]
    struct Echo;

    #[pymethods]
    impl Echo {
        #[new]
        fn new() -> Echo {
            Echo
        }

        fn __call__<'py>(&self, arg: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
            arg
        }

        fn __mul__<'py>(&self, arg: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
            arg
        }

        fn __pos__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
            slf
        }

        fn __lt__<'py>(&self, arg: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
            arg
        }
    }
}
