"""The plugin for pytest: --hpy-debug, its marker and its fixture."""

import re
import subprocess
import sys
import textwrap

import pytest
from debugging import SOURCE, environment_with, line_of
from snippet import REFERENCE, compile_file, expand, make_importable

pytestmark = [
    pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has a debug mode of its own"),
    pytest.mark.skipif(REFERENCE, reason="0.9.0 has no plugin"),
]


class Project:
    """A folder with tests of an extension `ext`."""

    def __init__(self, folder):
        self.folder = folder
        make_importable(compile_file(expand(textwrap.dedent(SOURCE), "ext"), "ext"), folder)

    def write(self, name, text):
        (self.folder / name).write_text(textwrap.dedent(text), encoding="utf-8")

    def run(self, *arguments, tests=None, **environment):
        """Runs pytest, and gives its output and how many outcomes of each kind there were: {"passed": 2, "error": 1}."""
        if tests is not None:
            self.write("test_ext.py", tests)
        # On a CI machine, pytest's short summary has the whole messages once more.
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-r", "N", *arguments]
        result = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environment_with(environment),
            timeout=120,
        )
        lines = result.stdout.splitlines()
        summary = lines[-1] if lines else ""
        outcomes = {name.rstrip("s"): int(number) for number, name in re.findall(r"(\d+) ([a-z]+)", summary)}
        return result.stdout + result.stderr, outcomes


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_a_leak_is_an_error_of_its_test(project):
    output, outcomes = project.run(
        "--hpy-debug",
        tests="""
            import ext

            def test_clean():
                assert ext.clean(1) == [1]

            def test_leaks():
                ext.leak("left over")
                ext.leak_builder("text")

            def test_is_clean_again():
                ext.clean(2)
        """,
    )
    assert outcomes == {"passed": 3, "error": 1}, output
    assert "ERROR at teardown of test_leaks" in output
    assert "1 unclosed handle:" in output and "for 'left over'>" in output
    assert "1 unclosed builder:" in output
    assert f"snippet:{line_of('HPy_Dup')}" in output
    assert "hpy: HPY=debug, no stack traces" in output


def test_a_misuse_fails_its_test(project):
    output, outcomes = project.run(
        "--hpy-debug",
        tests="""
            import ext, pytest
            from hpy.debug import HPyDebugError

            @pytest.fixture
            def fixture():
                ext.close_twice("in setup")
                yield

            def test_misuse():
                ext.use_closed("text")

            def test_expected_misuse():
                with pytest.raises(HPyDebugError, match="HPY-D006"):
                    ext.use_closed("text")

            def test_setup(fixture):
                pass
        """,
    )
    assert outcomes == {"passed": 1, "failed": 1, "error": 1}, output
    assert "HPyDebugError: HPY-D006 use after close" in output
    assert "ERROR at setup of test_setup" in output
    assert f"snippet:{line_of('HPy_Length(ctx, h)')}" in output


def test_a_misuse_that_can_not_raise_is_an_error_of_its_test(project):
    output, outcomes = project.run(
        "--hpy-debug",
        tests="""
            import ext

            def test_misuse():
                ext.capsule()

            def test_clean():
                ext.clean(1)
        """,
    )
    assert outcomes == {"passed": 2, "error": 1}, output
    assert "ERROR at teardown of test_misuse" in output and "HPY-D034" in output


def test_errors_in_fixtures_are_found(project):
    output, outcomes = project.run(
        "--hpy-debug",
        tests="""
            import ext, pytest

            @pytest.fixture
            def leaking():
                ext.leak("in setup")
                yield
                ext.leak("in teardown")

            @pytest.fixture
            def failing():
                yield
                ext.leak("first")
                raise KeyError("fixture")

            @pytest.fixture(scope="module", autouse=True)
            def module():
                yield
                ext.leak("at the end of the module")

            def test_leaking(leaking):
                pass

            def test_failing(failing):
                pass

            def test_last():
                pass
        """,
    )
    assert outcomes == {"passed": 3, "error": 3}, output
    assert "2 unclosed handles:" in output and "'in setup'" in output and "'in teardown'" in output
    # The test's own error stays, with ours below it.
    assert "KeyError: 'fixture'" in output and "hpy debug teardown" in output and "'first'" in output
    assert "'at the end of the module'" in output


def test_what_is_left_by_an_import_is_told_with_the_next_test(project):
    output, outcomes = project.run(
        "--hpy-debug",
        tests="""
            import ext
            ext.leak("imported")

            def test_nothing():
                pass

            def test_nothing_more():
                pass
        """,
    )
    assert outcomes == {"passed": 2, "error": 1}, output
    assert "Before this test, while modules were imported or between tests:" in output
    assert "ERROR at teardown of test_nothing " in output and "'imported'" in output


def test_a_misuse_at_import_is_an_error_of_the_file(project):
    output, outcomes = project.run(
        "--hpy-debug",
        tests="""
            import ext
            ext.close_twice("text")
        """,
    )
    assert outcomes == {"error": 1}, output
    assert "HPyDebugError: HPY-D007" in output


def test_extensions_of_conftest_files_are_debugged_too(project):
    project.write(
        "conftest.py",
        """
        import ext, pytest

        @pytest.fixture
        def leaking():
            ext.leak("in a conftest")
        """,
    )
    output, outcomes = project.run("--hpy-debug", tests="def test_leaks(leaking): pass")
    assert outcomes == {"passed": 1, "error": 1}, output
    assert "'in a conftest'" in output


def test_leaks_can_be_allowed(project):
    output, outcomes = project.run(
        "--hpy-debug",
        "--strict-markers",
        tests="""
            import ext, pytest

            @pytest.mark.hpy_allow_leaks
            def test_leaks():
                ext.leak("text")

            def test_clean():
                pass

            @pytest.mark.hpy_allow_leaks
            def test_misuse():
                ext.close_twice("text")
        """,
    )
    assert outcomes == {"passed": 2, "failed": 1}, output


def test_traces_can_be_asked_for(project):
    tests = """
        import ext

        def test_leaks():
            ext.leak("text")
    """
    output, outcomes = project.run("--hpy-debug-traces=8", tests=tests)
    assert outcomes == {"passed": 1, "error": 1}, output
    assert "stack traces of 8 frames" in output
    assert len(re.findall(r"\bleak_impl\b", output)) >= 1
    without, _ = project.run("--hpy-debug", tests=tests)
    assert len(output.splitlines()) > len(without.splitlines())


def test_a_number_of_traces_is_not_negative(project):
    output, outcomes = project.run("--hpy-debug-traces=-1", tests="")
    assert "ERROR: --hpy-debug-traces: the number of frames is 0 or more" in output


def test_tests_can_run_in_several_processes(project):
    pytest.importorskip("xdist")
    output, outcomes = project.run(
        "--hpy-debug",
        "-n2",
        tests="""
            import ext, pytest

            @pytest.mark.parametrize("number", range(6))
            def test_even_numbers_leak(number):
                if number % 2 == 0:
                    ext.leak(f"number {number}")

            def test_misuse():
                ext.close_twice("text")
        """,
    )
    assert outcomes == {"passed": 6, "failed": 1, "error": 3}, output
    assert all(f"'number {number}'" in output for number in (0, 2, 4))


def test_the_variable_goes_first(project):
    tests = """
        import ext

        def test_leaks():
            ext.leak("text")
    """
    output, outcomes = project.run("--hpy-debug", tests=tests, HPY="universal")
    assert outcomes == {"passed": 1}, output
    assert "finds nothing, because HPY=universal" in output
    output, outcomes = project.run("--hpy-debug", tests=tests, HPY="ext:debug")
    assert outcomes == {"passed": 1, "error": 1}, output


def test_without_the_option_nothing_happens(project):
    output, outcomes = project.run(
        tests="""
            import os, sys
            before = set(sys.modules)
            import ext

            def test_leaks():
                ext.leak("text")

            def test_nothing_was_there():
                assert "hpy.universal" not in before
                assert "HPY" not in os.environ
        """,
    )
    assert outcomes == {"passed": 2}, output
    assert "hpy:" not in output


def test_the_plugin_puts_back_what_it_changes(project):
    project.write(
        "twice.py",
        """
        import os, pytest
        from hpy.universal import _debug

        assert pytest.main(["-p", "no:cacheprovider", "-q", "--hpy-debug"]) == 0
        assert "HPY" not in os.environ
        assert _debug.override_action(None) is None
        """,
    )
    project.write("test_ext.py", "def test_nothing(): pass")
    result = subprocess.run(
        [sys.executable, "twice.py"], cwd=project.folder, env=environment_with({}), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_fixture_checks_one_test(project):
    tests = """
        import importlib.util, pytest, hpy.universal
        from hpy.debug import HPyDebugError, LeakDetector
        import ext as universal

        path = universal.__file__
        spec = importlib.util.spec_from_file_location("ext", path)
        ext = hpy.universal.load("ext", path, spec, mode=hpy.universal.MODE_DEBUG)

        def test_leaks(hpy_debug):
            assert isinstance(hpy_debug, LeakDetector)
            ext.leak("found")

        def test_misuse(hpy_debug):
            with pytest.raises(HPyDebugError):
                ext.close_twice("text")

        @pytest.mark.hpy_allow_leaks
        def test_leaks_and_may(hpy_debug):
            ext.leak("allowed")

        def test_without():
            ext.leak("not looked for")
    """
    output, outcomes = project.run(tests=tests)
    assert outcomes == {"passed": 4, "error": 1}, output
    assert "HPyLeakError: 1 unclosed handle:" in output and "'found'" in output
    # With the option, all tests are checked, and none twice.
    output, outcomes = project.run("--hpy-debug", tests=tests)
    assert outcomes == {"passed": 4, "error": 2}, output
    assert output.count("for 'found'>") == 1 and "'not looked for'" in output


def test_the_fixture_can_be_imported_from_where_it_was(project):
    project.write("conftest.py", "from hpy.debug.pytest import hpy_debug")
    output, outcomes = project.run("-p", "no:hpy_debug", tests="def test_nothing(hpy_debug): pass")
    assert outcomes == {"passed": 1}, output


def test_the_plugin_can_be_named(project):
    output, outcomes = project.run(
        *("-p", "hpy_debug", "--hpy-debug"),
        tests="""
            import ext

            def test_leaks():
                ext.leak("text")
        """,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert outcomes == {"passed": 1, "error": 1}, output


SWALLOWING = {
    "except": "try:\n                    ext.use_closed('text')\n                except Exception:\n                    pass",
    "raises": "with pytest.raises(Exception):\n                    ext.use_closed('text')",
    "suppress": "with contextlib.suppress(RuntimeError, Exception):\n                    ext.use_closed('text')",
    "replaced": "with pytest.raises(KeyError):\n                    try:\n                        ext.use_closed('text')\n"
    "                    except Exception:\n                        raise KeyError from None",
}


@pytest.mark.parametrize("way", SWALLOWING)
def test_a_misuse_that_is_swallowed_fails_its_test(project, way):
    output, outcomes = project.run(
        "--hpy-debug",
        tests=f"""
            import contextlib, ext, pytest

            def test_misuse():
                {SWALLOWING[way]}

            def test_clean():
                ext.clean(1)
        """,
    )
    assert outcomes == {"passed": 2, "error": 1}, output
    assert "ERROR at teardown of test_misuse" in output and "HPY-D006" in output
    assert "raised as HPyDebugError, which something has caught" in output


@pytest.mark.parametrize("setting", ["", "-n1"])
def test_a_misuse_that_is_expected_is_not_swallowed(project, setting):
    if setting:
        pytest.importorskip("xdist")
    output, outcomes = project.run(
        "--hpy-debug",
        *setting.split(),
        tests="""
            import ext, hpy.debug, pytest, unittest
            from hpy.debug import HPyDebugError as Misuse

            def test_except():
                try:
                    ext.use_closed("text")
                except hpy.debug.HPyDebugError:
                    pass

            def test_other_name():
                with pytest.raises(Misuse):
                    ext.use_closed("text")

            @pytest.mark.parametrize("error", [Misuse])
            def test_parameter(error):
                with pytest.raises(error):
                    ext.use_closed("text")

            class TestCase(unittest.TestCase):
                def test_method(self):
                    self.assertRaises(Misuse, ext.use_closed, "text")
        """,
    )
    assert outcomes == {"passed": 4}, output


def test_the_fixture_finds_what_is_swallowed(project):
    output, outcomes = project.run(
        tests="""
            import ext, pytest

            def test_misuse(hpy_debug):
                with pytest.raises(Exception):
                    ext.use_closed("text")
        """,
        HPY="debug",
    )
    assert outcomes == {"passed": 1, "error": 1}, output
    assert "HPY-D006" in output


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
@pytest.mark.parametrize("way", ["option", "variable"])
def test_the_last_report_of_a_process_is_not_captured(project, capture, way):
    options, environment = (["--hpy-debug"], {}) if way == "option" else ([], {"HPY": "debug"})
    output, _ = project.run(
        f"--capture={capture}",
        *options,
        tests="""
            import ctypes, ext

            def test_misuse():
                ext.read_closed()
        """,
        **environment,
    )
    assert "HPY-D050" in output and "snippet:" in output


def test_choices_of_single_misuses_stay(project):
    tests = """
        import ext

        def test_misuse():
            ext.close_twice("text")
    """
    output, outcomes = project.run("--hpy-debug", tests=tests, HPY_DEBUG="D007=ignore")
    assert outcomes == {"passed": 1}, output
    output, outcomes = project.run("--hpy-debug", tests=tests, HPY_DEBUG="D050=warn")
    assert outcomes == {"failed": 1}, output


def test_nothing_in_debug_mode_is_said(project):
    output, outcomes = project.run("--hpy-debug", tests="def test_nothing(): pass")
    assert outcomes == {"passed": 1}, output
    assert "hpy: no extension was loaded in debug mode" in output
