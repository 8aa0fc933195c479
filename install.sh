#!/usr/bin/env bash
# Sets NexusCore up on this machine. For all commands: ./install.sh --help
set -euo pipefail

PROJECT="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
cd "$PROJECT"

# shellcheck source=Install/packages.sh
. Install/packages.sh
# shellcheck source=Install/environment.sh
. Install/environment.sh

usage() {
    cat <<'TEXT'
Sets NexusCore up on this machine. It can be run again: finished steps are skipped.

  ./install.sh                    a virtual environment in .venv with the tools, services and session logger,
                                  completion for bash, and an embedded database for one machine
  ./install.sh mysql [--new-passwords]
                                  a MariaDB server with NexusCore's database, its users and its tables,
                                  and a settings file with the password of each user
  ./install.sh service NAME... [--start] [--take-over]
                                  start scripts for services: builder, gateway, harvester, intake, uploader; without
                                  a server, a database that they share with the operators (service --help)
  ./install.sh demo               a demonstration with a small facility, only on this machine
  ./install.sh test [ARGUMENT...] every check and test of the project; arguments go to pytest
  ./install.sh test quick [ARGUMENT...]
                                  the checks, and those tests that need no server: in less than a minute
  ./install.sh bench [ARGUMENT...]
                                  the benchmarks; arguments go to pytest
  ./install.sh constraints        updates Install/constraints.txt, the versions of all libraries; for developers,
                                  before ./install.sh test
  ./install.sh requirements       writes the tests of each requirement, from their docstrings, to
                                  docs/requirements.md
  ./install.sh --help             this text

Environment: PYTHON is the Python to use (3.11 or newer). Steps that need root use sudo.
TEXT
}

say() { printf '%s\n' "$*"; }

step() { printf '==> %s\n' "$*"; }

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

refuse() {
    printf 'install.sh: %s\n\n' "$*" >&2
    usage >&2
    exit 2
}

set_up_here() {
    (($# == 0)) || refuse "unexpected argument '$1'"
    make_environment setup services logger
    switch_on_completion
    if names_a_server; then
        step "The settings have a database server; to update its tables: ./install.sh mysql"
    else
        step "Creating or updating the tables of the database"
        .venv/bin/python -m NexusCore.storage.migrate || fail "The tables could not be created; see the reason above."
    fi
    .venv/bin/python -m NexusCore.declare || fail "The parameters could not be declared; see the reason above."
    say
    say "NexusCore is ready. What to type next:"
    say "  . .venv/bin/activate     (once in each new shell)"
    say "  ConfigTool --help        shows and changes the configuration"
    say "  TailLog -f               shows the log of all programs"
    say "  TailStatus -f            shows the status of all programs"
}

# Unreadable settings count as no server: the next step reports the error.
names_a_server() {
    .venv/bin/python -c 'import sys; from NexusCore import settings; sys.exit(settings.load().main.kind != "mysql")' 2>/dev/null
}

run_demo() {
    (($# == 0)) || refuse "demo: unexpected argument '$1'"
    make_environment setup services logger
    step "Starting the demonstration"
    exec .venv/bin/python Install/demo.py
}

set_up_tests() {
    # Only the programs of the server, if available: a running system server is not needed.
    need_programs mariadbd=server-programs my_print_defaults=server-programs Xvfb=xvfb xdotool=xdotool \
        objcopy=binutils shellcheck=shellcheck faketime=faketime
    # A library for a test cluster. Without a package for it, those tests are skipped.
    if [[ -z $(compgen -G '/usr/lib*/galera*/libgalera_smm.so') && ! -e /usr/lib/libgalera_smm.so ]]; then
        (need_package galera "the library of Galera, for the tests of a cluster") || true
    fi
    # A FUSE file system, for tests of journals on it; skipped likewise.
    command -v bindfs >/dev/null ||
        (need_package bindfs "bindfs, for the tests of file systems like a network's") || true
    # A browser, for the test of a record's page; skipped likewise.
    command -v chromium >/dev/null || command -v google-chrome >/dev/null ||
        (need_package chromium "a browser, for the test of a record's page") || true
    # Another way of copies to another host; skipped likewise.
    command -v rsync >/dev/null ||
        (need_package rsync "rsync, for the tests of copies to another host") || true
    # It spares the tests' servers from waiting for the disk; without it the suite takes longer.
    [[ -n $(compgen -G '/usr/lib*/*/libeatmydata.so') ]] ||
        (need_package eatmydata "libeatmydata, with which the tests' servers are quick") || true
    make_environment setup services logger test
    need_tkinter
}

run_tests() {
    local worst=0
    if [[ ${1-} == quick ]]; then set -- tests/unit "${@:2}"; fi
    set_up_tests
    check ruff check .
    check ruff format --check .
    check mypy
    # A crashed test process is a failure: if it were replaced, xdist would wait forever for the rest of a file.
    check python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 "$@"
    exit "$worst"
}

# Runs a program of the environment and keeps the worst exit code in `worst`.
check() {
    local code=0
    step "$*"
    ".venv/bin/$1" "${@:2}" || code=$?
    if ((code > worst)); then worst=$code; fi
}

run_benchmarks() {
    set_up_tests
    step "Running the benchmarks"
    # The project's own options leave this folder out of a normal run.
    exec .venv/bin/python -m pytest --override-ini=addopts=--import-mode=importlib tests/benchmarks -q -s "$@"
}

renew_tested_set() {
    (($# == 0)) || refuse "constraints: unexpected argument '$1'"
    renew_constraints
    say "Now run ./install.sh test, and commit $CONSTRAINTS if it succeeds."
}

write_requirements() {
    (($# == 0)) || refuse "requirements: unexpected argument '$1'"
    local python=.venv/bin/python
    is_new_enough "$python" || python=$(find_python) ||
        fail "Python ${OLDEST_PYTHON/, /.} or newer was not found." \
            "Set its path: PYTHON=/path/to/python3 ./install.sh requirements"
    step "Writing the tests of each requirement into docs/requirements.md"
    "$python" tests/requirements.py || fail "docs/requirements.md was not changed; see the reason above."
}

main() {
    local what=${1:-here}
    if (($#)); then shift; fi
    case $what in
        here) set_up_here "$@" ;;
        mysql)
            # shellcheck source=Install/mysql.sh
            . Install/mysql.sh
            set_up_mysql "$@"
            ;;
        service)
            # shellcheck source=Install/service.sh
            . Install/service.sh
            set_up_services "$@"
            ;;
        demo) run_demo "$@" ;;
        test) run_tests "$@" ;;
        bench) run_benchmarks "$@" ;;
        constraints) renew_tested_set "$@" ;;
        requirements) write_requirements "$@" ;;
        -h | --help) usage ;;
        *) refuse "unknown command '$what'" ;;
    esac
}

main "$@"
