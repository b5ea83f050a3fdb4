"""What goes differently on PyPy's own runtime of HPy, and why: for conftest.py, which uses it on PyPy only.

Found with PyPy 7.3.19 (HPy 0.9.1.dev61). The tables give reasons and the tests they make fail: `file::function`, or
`file::function[parameters]` with the parameters as pytest shows them but for the variant, and `*` for any text. A test
that PyPy fails and that is not here is news, and so is one that it passes though it is here.
"""

import gc
import re
import sys

import pytest

# These may pass: it depends on the moment, or on the compiler.
UNCERTAIN = {
    "a truncated binary kills the process if it is cut at the wrong place": """
        test_loader::test_no_truncation_crashes
    """,
    # PyPy has no reference counts.
    "objects go when the collector runs, not with their last reference": """
        test_attribute::test_value_that_is_replaced_can_change_the_attribute_itself
        test_builder::test_cancel_after_a_failure_keeps_its_exception
        test_builder::test_cancel_keeps_a_pending_exception_while_finalizers_run
        test_builder::test_cycle_through_the_result_is_collected
        test_capsule::test_destructor_can_be_written_by_hand
        test_capsule::test_destructor_gets_what_is_in_the_capsule_at_the_end
        test_capsule::test_destructor_runs_once_when_the_capsule_is_freed
        test_handle::test_close_can_run_code_that_uses_the_module_again
        test_handle::test_object_lives_until_its_last_handle_is_closed
        test_handle::test_pending_exception_survives_dup_is_and_close
        test_item::test_replaced_item_can_empty_the_list
        test_tracker::test_pending_exception_outlives_closing_and_finalizers
        test_tuple::test_handles_may_be_closed_right_afterwards
        test_type_buffer::test_bytes_are_copied
        test_type_buffer::test_each_buffer_is_released_once
        test_type_field::test_a_finalizer_may_store_again
        test_type_field::test_fields_can_be_used_while_an_exception_is_pending
        test_type_gc::test_what_can_be_reached_stays
        test_type_lifecycle::test_a_finalizer_runs_beside_a_pending_exception[False]
        test_type_lifecycle::test_an_instance_that_finalize_saves_lives_on
        test_type_lifecycle::test_an_instance_that_goes_while_an_exception_is_on_its_way
        test_type_lifecycle::test_an_instance_that_new_gives_up_is_destroyed
        test_type_lifecycle::test_each_is_called_once
        test_type_lifecycle::test_fields_are_empty_when_the_struct_is_destroyed
        test_type_lifecycle::test_finalize_then_fields_then_destroy
        test_type_lifecycle::test_the_type_stays_until_after_destroy
        test_type_members::test_an_old_value_may_look_at_the_member_while_it_goes
    """,
}

FAILURES = {
    # The interpreter, whatever the API.
    "PyPy compares float('nan') by value where `is` decides": """
        test_item::test_contains[container1-nan-nan]
    """,
    "PyPy has no datetime.datetime_CAPI": """
        test_constants::test_each_constant_is_the_object_that_python_names[0.9.0]
    """,
    "PyPy's gc has no is_tracked and no get_threshold": """
        test_type_field::test_a_type_needs_no_collector_to_release_its_fields
        test_type_gc::test_only_types_with_the_flag_are_tracked
        test_type_new::test_a_collection_in_the_middle
        test_type_new::test_the_collector_knows_the_instance
    """,
    "gc.get_referents also gives what PyPy itself makes objects of": """
        test_type_field::test_the_collector_sees_what_fields_hold
        test_type_gc::test_attributes_of_a_base_written_in_python_are_seen_once
    """,
    "the code that runs in a process of its own counts references, which PyPy does not have": """
        test_list::test_items_of_a_new_list_can_be_set
        test_tracker::test_handle_belongs_to_the_tracker_even_if_it_cannot_grow
    """,
    "PyPy's classes have no __basicsize__": """
        test_type_creation::test_instances_without_a_struct_are_as_small_as_objects
    """,
    "the name that PyPy's deque has itself is collections.deque": """
        test_type::test_name_of_a_type[deque-deque]
    """,
    "PyPy's functions and methods of extensions have other attributes than CPython's": """
        test_module::test_loading_twice_gives_two_modules
        test_module_functions::test_functions_are_described
        test_type_methods::test_bound_methods
    """,
    # The runtime as a whole.
    "it is another runtime, with a version, messages and tools of its own": """
        test_abi::test_the_version_is_the_same_everywhere
        test_loader::test_a_broken_binary_is_refused_with_its_own_message
        test_loader::test_a_malformed_hpy_is_an_error_that_shows_the_grammar
        test_loader::test_a_name_that_no_symbol_can_have_is_refused
        test_loader::test_an_empty_name_is_refused
        test_loader::test_load_errors_are_import_errors_and_runtime_errors
        test_loader::test_a_mode_that_is_not_there_yet_says_so
        test_loader::test_no_two_broken_binaries_get_the_same_help
        test_loader::test_the_runtime_is_not_linked_with_a_library_of_python
    """,
    "_load_bootstrap needs a spec, and HPY must be spelt as documented": """
        test_loader::test_hpy_chooses_universal_mode
        test_loader::test_the_bootstrap_sets_what_an_imported_module_has
        test_loader::test_the_environment_may_be_any_mapping
        test_loader::test_the_log_names_what_is_loaded
    """,
    "a dash in a module's name is not replaced by an underscore": """
        test_loader::test_dots_and_dashes_in_names[with-dash]
        test_loader::test_dots_and_dashes_in_names[package.with-dash]
    """,
    "a relative path is looked up as dlopen does, not in the working directory": """
        test_loader::test_a_path_may_be_a_path_object_and_relative
        test_loader::test_wrong_arguments_are_errors[args6-ValueError]
    """,
    "load does not look at the spec": """
        test_loader::test_a_spec_that_is_none_is_an_error
    """,
    "ctx_CallRealFunctionFromTrampoline is missing: nothing there calls through trampolines": """
        test_call::test_a_trampoline_of_unknown_signature_is_a_fatal_error
    """,
    "PyPy has a distribution hpy of its own, and its metadata goes before that of ours": """
        test_devel::test_misuse_of_pyproject_toml_is_explained
        test_devel::test_pyproject_toml_is_enough
        test_docs::test_samples_build_and_run[without-setup-py.md]
    """,
    # Strings.
    "C strings that are no UTF-8 are taken as they are": """
        test_attribute::test_name_that_is_no_utf8
        test_error_classes::test_docstring_of_a_new_exception
        test_error_classes::test_new_exception_refuses_bad_names_and_bases[*xff*UnicodeDecodeError]
        test_item::test_key_that_is_no_utf8
    """,
    "HPyUnicode_AsUTF8AndSize gives lone surrogates out, and the bytes of a bytearray": """
        test_unicode::test_encoding_something_else_is_a_type_error[bytearray-as_utf8]
        test_unicode::test_utf8_buffer_cannot_have_lone_surrogates
    """,
    "HPyUnicode_EncodeFSDefault calls the method encode of whatever it gets": """
        test_unicode::test_encoders_agree_on_ascii[wrong-encode_fs]
        test_unicode::test_encoding_something_else_is_a_type_error[*-encode_fs]
        test_unicode_decoding::test_encoding_a_file_name_needs_a_string
    """,
    "HPyUnicode_ReadChar and HPyUnicode_Substring ask a subclass's __getitem__, and take a list": """
        test_unicode::test_read_char_gives_code_points[wrong]
        test_unicode::test_read_char_of_something_else_is_a_type_error[list]
        test_unicode::test_reading_keeps_no_reference
        test_unicode::test_substring_of_a_subclass_is_an_exact_string
    """,
    "HPyUnicode_FromEncodedObject takes no bytearray and reports a buffer it can't read otherwise": """
        test_unicode_decoding::test_buffer_of_the_object_is_given_back
        test_unicode_decoding::test_object_without_a_contiguous_buffer_is_a_type_error
        test_unicode_decoding::test_objects_with_a_buffer_are_decoded[bytearray]
        test_unicode_decoding::test_unknown_names_are_lookup_errors_if_they_matter
    """,
    "HPyBytes_Size asks a subclass's __len__, and takes what is no bytes but has a length": """
        test_bytes::test_buffer_has_the_contents_and_a_null_byte[Liar-bytes-contents]
        test_bytes::test_buffer_has_the_contents_and_a_null_byte[Liar-bytes-unchecked_contents]
        test_bytes::test_reading_something_else_is_a_type_error[bytearray-size]
        test_bytes::test_reading_something_else_is_a_type_error[list-size]
        test_bytes::test_reading_something_else_is_a_type_error[memoryview-size]
        test_bytes::test_reading_something_else_is_a_type_error[str-size]
        test_bytes::test_size_counts_the_bytes_that_are_there[Liar-int-size]
        test_bytes::test_size_counts_the_bytes_that_are_there[Liar-int-unchecked_size]
    """,
    "HPyBytes_FromStringAndSize has one error for all sizes that are too large": """
        test_bytes::test_size_near_the_largest_possible_is_an_overflow_error
    """,
    "HPy_Bytes takes what has a buffer or __bytes__, not what can be iterated": """
        test_object::test_bytes[value2-*]
        test_object::test_bytes[value3-*]
        test_object::test_bytes[value4-*]
        test_object::test_bytes[value5-*]
        test_object::test_bytes[value6-*]
        test_object::test_bytes_of_a_generator
        test_object::test_bytes_of_a_list_that_its_item_empties
        test_object::test_bytes_that_fail[value6-ValueError]
        test_object::test_bytes_that_fail[value7-ValueError]
        test_object::test_bytes_that_fail[value8-error8]
        test_object::test_bytes_that_fail[value11-LookupError]
        test_object::test_bytes_that_fail[value12-LookupError]
    """,
    # Numbers.
    "HPyFloat_AsDouble does not ask __index__": """
        test_argparse::test_floats_are_made_of_what_converts
        test_float::test_as_double[value12-7.0]
        test_float::test_as_double_passes_on_what_the_conversion_raises[value1]
    """,
    "HPyLong_As* ask __int__ or __index__ where they should not, and those of 32 bits cut numbers off": """
        test_long::test_int_is_not_asked[Double-float]
        test_long::test_int_is_not_asked[Int32_t-*]
        test_long::test_int_is_not_asked[Int64_t-object]
        test_long::test_int_is_not_asked[UInt32_tMask-object]
        test_long::test_int_is_not_asked[UInt64_tMask-object]
        test_long::test_range_is_that_of_the_c_type[*Int32_t*]
        test_long::test_subclasses_give_their_own_value_without_being_asked[Int32_t]
    """,
    "HPyLong_AsVoidPtr refuses addresses in the upper half": """
        test_format::test_pointer_starts_with_0x
        test_long::test_void_pointer_is_unsigned_or_wraps_around
    """,
    "HPyNumber_Check says no to complex numbers and to objects with __index__ only": """
        test_number::test_check_accepts_numbers[1j]
        test_number::test_check_accepts_numbers[value5]
        test_number::test_check_asks_the_type_only_and_calls_nothing
    """,
    # Containers.
    "HPyDict_Copy copies the dictionary itself and asks no method of a subclass": """
        test_dict::test_copy_asks_the_methods_of_a_subclass_that_overrides_iter
        test_dict::test_copy_passes_on_what_an_overridden_method_raises
        test_dict::test_copy_survives_a_dictionary_that_empties_itself
    """,
    "negative sizes are taken for 0, or lead to other errors": """
        test_inline_helpers::test_packing_a_negative_number
        test_list::test_negative_length_is_a_system_error
        test_structseq::test_negative_number_of_items
        test_tuple::test_negative_size_is_a_system_error
        test_unicode_decoding::test_negative_size_is_a_system_error
        test_unicode_decoding::test_wide_size_below_minus_1_is_a_system_error
    """,
    # Errors.
    "what is no exception class is a TypeError when it is raised": """
        test_error::test_only_exception_classes_can_be_raised
        test_error::test_setting_keeps_the_callers_reference_only
        test_format_errors::test_error_of_what_is_no_exception_class
    """,
    "HPyErr_SetObject hands a tuple to the class as one argument": """
        test_error::test_set_object_calls_the_constructor
    """,
    "HPyErr_NewException puts its own __module__ over that of the dict": """
        test_error_classes::test_new_exception_gets_the_attributes_of_the_dict
        test_error_classes::test_new_exception_keeps_the_module_of_the_dict
    """,
    "HPyErr_WarnEx takes null for UserWarning": """
        test_error_reports::test_warning_fails_when_a_filter_makes_it_an_error
        test_error_reports::test_warning_is_issued[None-RuntimeWarning]
    """,
    "HPyErr_WriteUnraisable does not tell the hook the object": """
        test_error_reports::test_unraisable_exception_goes_to_the_hook
    """,
    "HPy_FatalError shows the message only": """
        test_error_reports::test_fatal_error_shows_the_stack_and_the_pending_exception
    """,
    # Evaluating, importing.
    "HPy_Compile_s takes source for UTF-8 whatever its first line says": """
        test_eval::test_source_is_utf8_unless_a_comment_says_otherwise
        test_eval::test_source_that_cannot_be_decoded_is_a_syntax_error[#*coding*]
    """,
    "HPy_Compile_s takes over the future imports of the calling Python code": """
        test_eval::test_future_imports_of_the_caller_are_not_inherited
    """,
    "HPy_EvalCode always uses the real builtins, and adds them to the globals": """
        test_eval::test_builtins_are_the_callers_by_default
        test_eval::test_builtins_can_be_given
        test_eval::test_eval_does_not_add_builtins
    """,
    "HPyImport_ImportModule calls __import__ with the name only": """
        test_import::test_import_goes_through_the_import_function
    """,
    # Capsules.
    "HPyCapsule_SetPointer does not refuse null": """
        test_capsule::test_pointer_can_be_replaced_but_not_by_null
    """,
    "a destructor that replaces another is called twice, and one that was taken away is called nevertheless": """
        test_capsule::test_destructor_can_be_given_replaced_and_taken_away
        test_capsule::test_destructor_needs_both_of_its_functions[4]
        test_capsule::test_parts_are_set_and_got_by_their_keys
    """,
    "a HPyCapsule_Destructor needs no trampoline": """
        test_capsule::test_destructor_needs_both_of_its_functions[3]
    """,
    # Modules.
    "HPy_mod_create gets a module instead of the spec, and its result has to have an attribute `spec`": """
        test_module::test_create_slot_gets_the_spec_and_gives_the_module
    """,
    "HPyGlobal_Store lets the object that was there live on for ever": """
        test_global::test_finalizer_of_the_old_object_finds_the_new_one
        test_global::test_finalizer_of_the_old_object_may_store
        test_global::test_global_keeps_the_object_alive_until_another_is_stored
        test_global::test_storing_null_releases_the_object
        test_portable::test_built_with_our_headers[check_globals]
    """,
    # Types.
    "a type of basicsize 0 that derives from one with a struct has none": """
        test_portable::test_built_with_our_headers[check_a_second_copy_of_the_module]
        test_portable::test_built_with_our_headers[check_a_subclass_of_several_types]
        test_portable::test_built_with_our_headers[check_derived_types]
        test_portable::test_built_with_our_headers[check_mapping]
        test_portable::test_built_with_our_headers[check_thousands_of_objects]
        test_portable::test_built_with_our_headers[check_thousands_of_types]
        test_portable::test_built_with_our_headers[check_threads]
        test_portable::test_built_with_our_headers[check_types_made_by_c]
        test_portable::test_built_with_our_headers[check_what_is_reachable_survives]
        test_type_bases::test_a_base_made_in_python_from_a_type
        test_type_bases::test_a_base_made_in_python_with_a_dict
        test_type_bases::test_a_base_made_in_python_without_a_dict
        test_type_bases::test_no_struct_of_its_own
        test_type_bases::test_several_bases
        test_type_buffer::test_readonly_memory[Derived]
        test_type_shapes::test_a_derived_type_without_a_struct_has_that_of_its_base[Float-*]
        test_type_shapes::test_a_derived_type_without_a_struct_has_that_of_its_base[L*]
        test_type_shapes::test_a_derived_type_without_a_struct_has_that_of_its_base[T*]
        test_type_shapes::test_a_derived_type_without_a_struct_has_that_of_its_base[Unicode-*]
        test_type_shapes::test_new_zeroes_what_is_before_the_struct_too
    """,
    "the collector calls the HPy_tp_traverse of the type itself only, not those of its bases": """
        test_type_gc::test_a_derived_type_may_visit_the_fields_of_its_base[Own]
    """,
    "an object that HPy_tp_finalize saves loses its struct: HPy_tp_destroy is called all the same": """
        test_portable::test_built_with_our_headers[check_finalizers_that_save_their_node]
        test_type_lifecycle::test_resurrection_from_a_cycle
    """,
    "a class may derive from types whose structs do not go together": """
        test_portable::test_built_with_our_headers[check_structs_that_do_not_go_together]
    """,
    "Python subclasses of types with a built-in shape have no instances": """
        test_portable::test_built_with_our_headers[check_slots_beside_shapes]
        test_type_shapes::test_a_metaclass_made_in_python_from_one_with_a_struct
        test_type_shapes::test_slots_of_subclasses_in_python[Float-*]
        test_type_shapes::test_slots_of_subclasses_in_python[L*]
        test_type_shapes::test_slots_of_subclasses_in_python[T*]
        test_type_shapes::test_slots_of_subclasses_in_python[Unicode-*]
        test_type_shapes::test_subclasses_in_python_keep_the_struct[Float-*]
        test_type_shapes::test_subclasses_in_python_keep_the_struct[L*]
        test_type_shapes::test_subclasses_in_python_keep_the_struct[T*]
        test_type_shapes::test_subclasses_in_python_keep_the_struct[Unicode-*]
    """,
    "HPyType_GetBuiltinShape gives Object for every type but that of HPyType_FromSpec": """
        test_type_shapes::test_only_types_have_shapes
        test_type_shapes::test_shape_of_subclasses_in_python[Float]
        test_type_shapes::test_shape_of_subclasses_in_python[L*]
        test_type_shapes::test_shape_of_subclasses_in_python[T*]
        test_type_shapes::test_shape_of_subclasses_in_python[Unicode]
        test_type_shapes::test_shape_of_types[Float]
        test_type_shapes::test_shape_of_types[L*]
        test_type_shapes::test_shape_of_types[T*]
        test_type_shapes::test_shape_of_types[Unicode]
    """,
    "little of a spec is checked, and with other messages": """
        test_type_across::test_what_is_wrong_across_binaries_is_refused
        test_type_bases::test_structs_that_do_not_go_together
        test_type_bases::test_a_struct_cannot_go_on_behind_slots_of_a_python_class
        test_type_errors::test_bad_spec[call_twice]
        test_type_errors::test_bad_spec[destroy_twice]
        test_type_errors::test_bad_spec[getbuffer_twice]
        test_type_errors::test_bad_spec[same_slot_twice]
        test_type_errors::test_bad_spec[slot_twice]
        test_type_errors::test_bad_spec[traverse_twice]
        test_type_errors::test_bad_spec[*slot_of_modules]
        test_type_errors::test_bad_spec[*members_without_a_struct]
        test_type_errors::test_bad_spec[basicsize_*]
        test_type_errors::test_bad_spec[call_and_offset_of_call]
        test_type_errors::test_bad_spec[itemsize_negative]
        test_type_errors::test_bad_spec[member_crossing*]
        test_type_errors::test_bad_spec[member_early]
        test_type_errors::test_bad_spec[member_far]
        test_type_errors::test_bad_spec[member_late]
        test_type_errors::test_bad_spec[member_type]
        test_type_errors::test_bad_spec[metaclass_that_is_no_type]
        test_type_errors::test_bad_spec[shape_*]
        test_type_errors::test_bad_spec[slot_0]
        test_type_errors::test_bad_spec[slot_12345]
        test_type_errors::test_bad_spec[slot_81]
        test_type_errors::test_bad_spec[slot_dealloc]
        test_type_errors::test_bad_spec[slot_getset]
        test_type_errors::test_bad_spec[slot_methods]
        test_type_errors::test_bad_spec[slot_without_function]
        test_type_errors::test_a_bad_spec_leaves_nothing[call_twice]
        test_type_errors::test_a_bad_spec_leaves_nothing[destroy_twice]
        test_type_errors::test_a_bad_spec_leaves_nothing[getbuffer_twice]
        test_type_errors::test_a_bad_spec_leaves_nothing[same_slot_twice]
        test_type_errors::test_a_bad_spec_leaves_nothing[slot_twice]
        test_type_errors::test_a_bad_spec_leaves_nothing[traverse_twice]
        test_type_errors::test_a_bad_spec_leaves_nothing[*slot_of_modules]
        test_type_errors::test_a_bad_spec_leaves_nothing[*members_without_a_struct]
        test_type_errors::test_a_bad_spec_leaves_nothing[basicsize_*]
        test_type_errors::test_a_bad_spec_leaves_nothing[call_and_offset_of_call]
        test_type_errors::test_a_bad_spec_leaves_nothing[itemsize_negative]
        test_type_errors::test_a_bad_spec_leaves_nothing[member_crossing*]
        test_type_errors::test_a_bad_spec_leaves_nothing[member_early]
        test_type_errors::test_a_bad_spec_leaves_nothing[member_far]
        test_type_errors::test_a_bad_spec_leaves_nothing[member_late]
        test_type_errors::test_a_bad_spec_leaves_nothing[member_type]
        test_type_errors::test_a_bad_spec_leaves_nothing[shape_*_with*]
        test_type_errors::test_a_bad_spec_leaves_nothing[slot_0]
        test_type_errors::test_a_bad_spec_leaves_nothing[slot_12345]
        test_type_errors::test_a_bad_spec_leaves_nothing[slot_81]
        test_type_errors::test_a_bad_spec_leaves_nothing[slot_dealloc]
        test_type_errors::test_a_bad_spec_leaves_nothing[slot_getset]
        test_type_errors::test_a_bad_spec_leaves_nothing[slot_methods]
        test_type_errors::test_a_bad_spec_leaves_nothing[slot_without_function]
        test_type_errors::test_a_metaclass_may_not_have_its_own_new
        test_type_errors::test_metaclass_and_that_of_the_base_have_to_get_along
        test_type_legacy_errors::test_slots_that_contradict[Call-*]
        test_type_legacy_errors::test_slots_that_contradict[MembersOnly-*]
        test_type_new::test_only_types_have_instances
    """,
    "without a metaclass the type's class is type, whatever the bases' is": """
        test_type_bases::test_without_a_metaclass_there_is_that_of_the_bases
    """,
    "every type can be subclassed, called with any arguments, and its instances have a dict and weak references": """
        test_type_churn::test_rounds_of_thousands_of_objects
        test_type_creation::test_arguments_are_refused_without_new_and_init
        test_type_creation::test_basetype_allows_subclasses
        test_type_creation::test_instances_have_no_dict_and_no_weak_references
        test_type_new::test_instances_of_subclasses
        test_type_pickle::test_a_struct_that_nobody_reduces_cannot_be_pickled
    """,
    "a signature at the start of a doc stays in __doc__": """
        test_type_creation::test_a_doc_can_begin_with_a_signature
        test_type_methods::test_names_and_docs
    """,
    "HPyType_GenericNew makes no instance of a built-in type": """
        test_type_new::test_generic_new_of_types_from_elsewhere
    """,
    "a type of HPy's with abstract methods can have instances": """
        test_type_construct::test_a_class_that_is_made_abstract_later
    """,
    "HPy_tp_new gets the names of keyword arguments, with the values behind the positional ones": """
        test_type_construct::test_a_new_that_gives_an_instance_of_a_subclass
        test_type_construct::test_a_new_that_gives_something_else_is_not_followed_by_init
        test_type_construct::test_both_get_the_same_arguments[args2-kwargs2]
        test_type_construct::test_both_get_the_same_arguments[args3-kwargs3]
        test_type_construct::test_subclasses_in_python[args2-kwargs2]
        test_type_construct::test_subclasses_in_python[args3-kwargs3]
        test_type_slots_objects::test_new_and_init_by_hand
        test_type_slots_objects::test_new_and_init_get_the_arguments
    """,
    "operator slots are called for the left operand only: there are no __radd__ and so on": """
        test_type_slots_containers::test_concatenation_and_repetition
        test_type_slots_numbers::test_a_python_subclass_overrides_an_operator
        test_type_slots_numbers::test_inplace_operators_fall_back
        test_type_slots_numbers::test_operands_come_in_the_order_of_the_expression
        test_type_slots_numbers::test_operators_are_methods_too
        test_type_slots_numbers::test_operators_decline_and_fail
        test_type_slots_numbers::test_power
        test_type_slots_numbers::test_references_stay_in_balance
    """,
    "HPy_tp_richcompare leaves the type hashable": """
        test_type_slots_objects::test_comparison_takes_the_hash_away
    """,
    "iteration without __iter__ uses HPy_mp_subscript, and an index that is too large is an OverflowError": """
        test_type_slots_containers::test_items_of_a_sequence
        test_type_slots_containers::test_mapping_before_sequence_and_numbers_before_sequences
    """,
    "deleting an attribute does not call its setter": """
        test_type_field::test_null_empties_a_field
        test_type_field::test_the_old_value_goes_after_the_new_one_is_in_place
        test_type_methods::test_an_attribute_is_read_written_and_deleted
    """,
    "unsigned members of 64 bits take only what a signed one holds": """
        test_type_members::test_integers[ULONG]
        test_type_members::test_integers[ULONGLONG]
    """,
    "a number too large for a member is cut off without a warning": """
        test_type_members::test_integers_too_large_for_the_member_are_cut_off_with_a_warning
    """,
    "HPy_SetCallFunction changes the function of the whole type": """
        test_portable::test_built_with_our_headers[check_calls]
        test_portable::test_built_with_our_headers[check_calls_that_python_overrides]
        test_type_call::test_a_function_for_a_single_object
        test_type_call::test_a_function_for_an_object_of_a_subclass
        test_type_call::test_functions_can_be_set_from_outside[Derived]
        test_type_call::test_functions_can_be_set_from_outside[Final]
        test_type_call::test_functions_can_be_set_from_outside[Inheriting]
        test_type_call::test_functions_can_be_set_from_outside[Made]
        test_type_call::test_functions_can_be_set_from_outside[Overriding]
        test_type_call::test_functions_can_be_set_from_outside[Simple]
        test_type_call::test_functions_can_be_set_from_outside[Structless]
        test_type_call::test_functions_can_be_set_from_outside[Switching]
        test_type_call::test_a_function_for_an_object_whose_class_overrides_the_call
        test_type_call::test_a_struct_goes_on_behind_that_of_a_callable_base
    """,
    "HPy_SetCallFunction takes any object of a type of HPy's": """
        test_type_call::test_functions_need_the_protocol
    """,
    "a memoryview of an instance does not say whose it is": """
        test_type_buffer::test_a_view_holds_the_exporter
        test_type_buffer::test_subclasses_in_python[Full]
        test_type_buffer::test_subclasses_in_python[Unreleased]
        test_type_buffer::test_the_description_arrives[Full]
        test_type_buffer::test_the_description_arrives[Unreleased]
    """,
    # Legacy definitions, through PyPy's emulation of the old C API.
    "legacy methods have no doc": """
        test_type_legacy::test_legacy_methods
    """,
    "legacy slots for items get negative indices as they are": """
        test_type_legacy::test_legacy_slots
    """,
    "a legacy setter gets the value as its object": """
        test_type_legacy::test_legacy_getsets
    """,
    "HPy_AsStruct_Legacy gives other memory than the tp_new of a legacy type has filled": """
        test_type_legacy::test_legacy_new_init_dealloc_and_call
    """,
    "a binary built with the headers of HPy 0.9.0 calls other functions than it means": """
        test_portable::test_built_with_the_headers_of_the_reference
    """,
    "an instance of a Python subclass can't be collected if its type has HPy_tp_destroy or HPy_tp_finalize": """
        test_portable::test_built_with_our_headers[check_copies]
        test_portable::test_built_with_our_headers[check_cycles_through_fields]
        test_portable::test_built_with_our_headers[check_finalizers]
        test_portable::test_built_with_our_headers[check_finalizers_while_an_exception_goes_through_c]
        test_portable::test_built_with_our_headers[check_kinds_of_subclasses]
        test_portable::test_built_with_our_headers[check_numbers_that_python_overrides]
        test_portable::test_built_with_our_headers[check_pickles]
        test_portable::test_built_with_our_headers[check_slots_that_python_overrides]
        test_portable::test_built_with_our_headers[check_subclasses]
        test_portable::test_built_with_our_headers[check_the_bases_of_a_class_change]
        test_portable::test_built_with_our_headers[check_the_class_of_an_instance_changes]
        test_portable::test_built_with_our_headers[check_types_can_be_changed]
        test_portable::test_built_with_our_headers[check_weak_references]
    """,
    "HPyField_Store needs a HPy_tp_traverse of the type itself, and a type that is not derived from a built-in one": """
        test_portable::test_built_with_our_headers[check_cycles_through_shapes]
        test_portable::test_built_with_our_headers[check_metaclass]
        test_portable::test_built_with_our_headers[check_values_and_structs_of_shapes]
    """,
    "a getter or setter that fails is taken for one that worked, and its exception stays pending": """
        test_portable::test_built_with_our_headers[check_attributes]
    """,
    "of objects with HPy_tp_destroy or HPy_tp_finalize that refer to each other, a collection takes one": """
        test_portable::test_built_with_our_headers[check_long_chains]
        test_type_gc::test_instances_that_hold_each_other
    """,
    "HPy_tp_new is called with any type": """
        test_portable::test_built_with_our_headers[check_new_is_asked_for_another_type]
    """,
}

# These kill the process, or do what makes a later test fail, so they are not run.
FATAL = {
    "ctx->h_DictType is read where PyPy has a function": """
        test_constants::test_each_constant_is_the_object_that_python_names[0.9-head]
    """,
    "there is no HPyType_BuiltinShape_Dict, and ctx->h_DictType is read where PyPy has a function": """
        test_type_shapes::*[Dict*]
    """,
    "a C string that is no UTF-8 is an internal error, and HPyUnicode_FromString returns a handle that is none": """
        test_argparse::test_text_that_c_cannot_have
        test_buildvalue::test_text_that_is_not_utf8
        test_error::test_file_name_of_an_errno_is_decoded_as_the_file_system_does[not*]
        test_error_reports::test_warning_of_text_that_is_not_utf8_fails
        test_format_errors::test_str_that_is_not_utf8
        test_format_errors::test_text_that_is_not_utf8
        test_import::test_name_that_is_not_utf8_is_a_decode_error
        test_structseq::test_description_that_is_not_utf8
        test_unicode::test_string_from_invalid_utf8_is_a_decode_error
    """,
    "a result together with a pending exception is not noticed, and stays pending": """
        test_module::test_create_slot_can_fail
        test_module::test_result_and_exception_of_an_exec_slot_have_to_agree[contradicting_itself]
        test_module_functions::test_result_and_exception_of_a_function_have_to_agree
    """,
    "a getter or setter that fails is taken for one that worked, and its exception stays pending": """
        test_definitions::test_definitions_can_be_written_out
        test_type_methods::test_a_setter_fails
        test_type_methods::test_attributes_stay_in_balance
        test_type_methods::test_closures
    """,
    "of a name that is no UTF-8, HPy_SetAttr_s makes a str that can't be used": """
        test_inline_helpers::test_deleting_an_attribute
    """,
    "impossible sizes are not noticed": """
        test_builder::test_size_that_is_impossible_is_not_reported_by_cancel[*-9223372036854775807]
        test_builder::test_size_that_is_impossible_is_not_reported_by_cancel[*-576460752303423487]
        test_builder::test_size_that_is_impossible_is_reported_by_build
        test_tracker::test_size_beyond_all_memory_is_a_memory_error
        test_unicode_decoding::test_wide_null_pointer_needs_size_0
    """,
    "the items of a list made with HPyList_New(n) are unset, as in 0.9.0": """
        test_list::test_items_of_a_new_list_are_none
    """,
    "HPyList_Append takes everything for a list": """
        test_list::test_appending_to_something_else_is_a_system_error
    """,
    "null is no file name for HPyErr_SetFromErrnoWithFilename": """
        test_error::test_errno_calls_the_constructor_of_the_class
        test_error::test_errno_picks_the_subclass_of_os_error
        test_error::test_signal_handlers_run_first_after_eintr[interrupted]
    """,
    "null is no handle for HPyErr_SetObject, HPySlice_New and HPy_Type": """
        test_error::test_set_object_without_a_value
        test_slice::test_new_slice_owns_its_parts_once
        test_slice::test_null_part_of_a_new_slice_means_none
        test_type::test_type_of_null_is_a_system_error
    """,
    "with a null handle in it, closing a tracker makes the null handle the next new one": """
        test_tracker::test_null_handles_have_no_effect
    """,
    "HPyCapsule_SetPointer does not refuse null, and the destructor gets it": """
        test_capsule::test_null_takes_a_part_away_but_for_the_pointer
    """,
    "HPyImport_ImportModule gives what __import__ returns, and pytest imports while it reports that": """
        test_import::test_import_function_has_to_register_the_module
    """,
    "a spec without a name, or with parameters or definitions that make no sense, is used": """
        test_type_errors::test_bad_spec[*without_name]
        test_type_errors::test_bad_spec[name_null]
        test_type_errors::test_bad_spec[unknown_parameter]
        test_type_errors::test_a_bad_spec_leaves_nothing[*without_name]
        test_type_errors::test_a_bad_spec_leaves_nothing[name_null]
        test_type_errors::test_a_bad_spec_leaves_nothing[unknown_parameter]
    """,
    "a type of basicsize 0 that derives from one with a struct has none": """
        test_type_buffer::test_buffers_stay_in_balance[Derived]
        test_type_buffer::test_memory_is_shared[Derived]
        test_type_buffer::test_subclasses_in_python[Derived]
        test_type_buffer::test_the_description_arrives[Derived]
    """,
    "HPy_tp_destroy of a derived type without HPy_tp_new is called twice, the second time with no struct": """
        test_type_across::test_structs_fields_and_ends_of_both
        test_type_across::test_types_come_and_go
    """,
    "an instance of a Python subclass can't be collected if its type has HPy_tp_destroy or HPy_tp_finalize": """
        test_type_gc::test_a_class_that_holds_its_instance
        test_type_gc::test_cycles_through_the_dict_of_a_subclass
        test_type_gc::test_cycles_through_the_field_of_a_subclass
        test_type_gc::test_the_collector_sees_dict_and_fields_of_a_subclass
        test_type_lifecycle::test_a_finalizer_runs_beside_a_pending_exception[True]
        test_type_lifecycle::test_what_a_finalizer_leaves_is_unraisable
        test_type_lifecycle_subclass::test_finalizers_of_subclasses_in_python
        test_type_lifecycle_subclass::test_resurrection_in_python
        test_type_lifecycle_subclass::test_the_class_of_an_instance_changes
        test_type_lifecycle_subclass::test_the_structs_of_all_bases_are_destroyed_once
        test_type_lifecycle_subclass::test_weak_references_to_subclasses
        test_type_lifecycle_subclass::test_instances_of_subclasses_are_destroyed_once
        test_type_subclass::*
    """,
    "HPyField_Store needs a HPy_tp_traverse of the type itself, and a type that is not derived from a built-in one": """
        test_type_field::test_cycles_through_fields_of_all_bases_are_found
        test_type_field::test_fields_of_all_bases_are_released
        test_type_field::test_fields_of_all_bases_are_visited
        test_type_lifecycle_subclass::test_a_type_of_another_module_in_the_middle
        test_type_shapes::test_fields_of_a_list
    """,
    "writing an attribute without setter, or reading one without getter, is fatal": """
        test_type_methods::test_an_attribute_that_can_only_be_read
        test_type_methods::test_an_attribute_that_can_only_be_written
    """,
    "the descriptor of an attribute calls its getter with any object": """
        test_type_methods::test_attributes_are_descriptors
    """,
    "an object whose HPyCallFunction is unset is called nevertheless": """
        test_type_call::test_an_explicit_offset_without_a_function
    """,
    "a type of basicsize 0 that derives from a legacy type has no struct": """
        test_type_legacy::test_a_legacy_type_derived_from_a_legacy_type
    """,
    "writing an object member of a legacy type is fatal": """
        test_type_legacy::test_destroy_of_a_legacy_type
        test_type_legacy::test_legacy_members
        test_type_legacy::test_subclasses_in_python
    """,
}


class AnyCount(int):
    """What sys.getrefcount gives here: equal to whatever it is compared with, so that tests check everything else."""

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = int.__hash__

    def __add__(self, other):
        return self

    __radd__ = __sub__ = __rsub__ = __add__


def prepare():
    """Adds what tests use and PyPy does not have."""
    sys.getrefcount = lambda obj: AnyCount(1)
    collect = gc.collect

    def collect_with_finalizers(*generation):
        # Finalizers run after a collection, and what they let go of goes in the next one.
        for _ in range(4):
            collect()
        return 0

    gc.collect = collect_with_finalizers


def entries(table):
    """(pattern, reason) for each line of a table."""
    return [(pattern, reason) for reason, tests in table.items() for pattern in tests.split()]


def matches(pattern, name):
    """Whether a test is meant: without parameters, a pattern means all of the function's."""
    # Only `*` is special: parameters may have brackets and backslashes.
    text = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(text if "[" in pattern else text + r"(\[.*)?", name, re.DOTALL) is not None


def name_of(item):
    """`file::function[parameters]`, without the ABI and mode that the test runs in."""
    parameters = item.callspec.id if hasattr(item, "callspec") else ""
    parameters = re.sub(r"(^|-)(universal|hybrid)-universal(?=-|$)", "", parameters).removeprefix("-")
    return f"{item.path.stem}::{item.originalname}" + (f"[{parameters}]" if parameters else "")


def mark(items):
    """Marks the tests of the tables as expected to fail."""
    tables = [(FATAL, {"run": False}), (FAILURES, {"strict": True}), (UNCERTAIN, {"strict": False})]
    known = [(*entry, options) for table, options in tables for entry in entries(table)]
    for item in items:
        name = name_of(item)
        for pattern, reason, options in known:
            if matches(pattern, name):
                item.add_marker(pytest.mark.xfail(reason=f"PyPy: {reason}", **options))
