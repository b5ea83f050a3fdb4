# find_package(HPy) gives
#   HPy::universal, HPy::hybrid, HPy::cpython    what a module of an ABI is compiled and linked with, as far as there are such
#   hpy_add_module(NAME [ABI universal|hybrid|cpython] SOURCE...)    a module; the ABI is universal if none is said
#   hpy_install_module(NAME DESTINATION FOLDER)    installs the module, and its stub if it has one
#
# It needs find_package(Python COMPONENTS Interpreter Development.Module) before.

get_filename_component(HPy_DEVEL_DIR "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(HPy_INCLUDE_DIR "${HPy_DEVEL_DIR}/include")

if(NOT TARGET Python::Interpreter)
  set(HPy_FOUND FALSE)
  set(HPy_NOT_FOUND_MESSAGE "call find_package(Python COMPONENTS Interpreter Development.Module) before find_package(HPy)")
  return()
endif()

foreach(_hpy_abi universal hybrid cpython)
  file(GLOB _hpy_library "${HPy_DEVEL_DIR}/lib/${_hpy_abi}/*")
  if(_hpy_library AND NOT TARGET HPy::${_hpy_abi})
    string(TOUPPER "${_hpy_abi}" _hpy_upper)
    add_library(HPy::${_hpy_abi} INTERFACE IMPORTED)
    set_target_properties(
      HPy::${_hpy_abi}
      PROPERTIES INTERFACE_COMPILE_DEFINITIONS "HPY;HPY_ABI_${_hpy_upper}"
                 INTERFACE_INCLUDE_DIRECTORIES "${HPy_INCLUDE_DIR}"
                 INTERFACE_LINK_LIBRARIES "${_hpy_library}")
    if(_hpy_abi STREQUAL "universal")
      # First on the path: its Python.h is an error.
      set_property(TARGET HPy::universal PROPERTY INTERFACE_INCLUDE_DIRECTORIES
                                                  "${HPy_INCLUDE_DIR}/hpy/forbid_python_h;${HPy_INCLUDE_DIR}")
    elseif(TARGET Python::Module)
      set_property(TARGET HPy::${_hpy_abi} APPEND PROPERTY INTERFACE_LINK_LIBRARIES Python::Module)
    endif()
  endif()
endforeach()

# Asks hpy.devel, which knows the names of files.
function(_hpy_ask RESULT CODE)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c "${CODE}" ${ARGN}
    OUTPUT_VARIABLE _answer
    ERROR_VARIABLE _error
    RESULT_VARIABLE _status
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT _status EQUAL 0)
    message(FATAL_ERROR "HPy: ${Python_EXECUTABLE} can't use hpy.devel; install hpy for it:\n${_error}")
  endif()
  set(${RESULT} "${_answer}" PARENT_SCOPE)
endfunction()

function(hpy_add_module NAME)
  cmake_parse_arguments(PARSE_ARGV 1 _hpy "" "ABI" "")
  if(NOT _hpy_ABI)
    set(_hpy_ABI universal)
  endif()
  if(NOT TARGET HPy::${_hpy_ABI})
    message(FATAL_ERROR "hpy_add_module(${NAME}): there is no ABI '${_hpy_ABI}' here; choose universal, hybrid or cpython")
  endif()
  if(NOT _hpy_ABI STREQUAL "universal" AND NOT TARGET Python::Module)
    message(FATAL_ERROR "hpy_add_module(${NAME}): the ABI ${_hpy_ABI} needs find_package(Python COMPONENTS Development.Module)")
  endif()
  if(_hpy_ABI STREQUAL "universal")
    # CPython imports it as it is; others by the stub.
    _hpy_ask(_suffix "import sys; print('.pyd' if sys.platform == 'win32' else '.so')")
  else()
    _hpy_ask(_suffix "import sys; from hpy.devel.abitag import get_hpy_ext_suffix; print(get_hpy_ext_suffix(sys.argv[1]))" ${_hpy_ABI})
  endif()
  add_library(${NAME} MODULE ${_hpy_UNPARSED_ARGUMENTS})
  target_link_libraries(${NAME} PRIVATE HPy::${_hpy_ABI})
  set_target_properties(${NAME} PROPERTIES PREFIX "" SUFFIX "${_suffix}" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
  if(NOT _hpy_ABI STREQUAL "cpython")
    _hpy_ask(_stub "import sys; from hpy.devel.stub import stub; sys.stdout.write(stub(sys.argv[1]))" "${NAME}${_suffix}")
    set(_file "${CMAKE_CURRENT_BINARY_DIR}/${NAME}.py")
    file(WRITE "${_file}" "${_stub}\n")
    set_property(TARGET ${NAME} PROPERTY HPY_STUB "${_file}")
  endif()
endfunction()

function(hpy_install_module NAME)
  cmake_parse_arguments(PARSE_ARGV 1 _hpy "" "DESTINATION" "")
  if(NOT _hpy_DESTINATION)
    message(FATAL_ERROR "hpy_install_module(${NAME}): DESTINATION is missing")
  endif()
  install(TARGETS ${NAME} LIBRARY DESTINATION "${_hpy_DESTINATION}")
  get_property(_stub TARGET ${NAME} PROPERTY HPY_STUB)
  if(_stub)
    install(FILES "${_stub}" DESTINATION "${_hpy_DESTINATION}")
  endif()
endfunction()
