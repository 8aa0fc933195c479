# The virtual environment of the project and the completion of its tools. Sourced by install.sh.
# shellcheck shell=bash

OLDEST_PYTHON='3, 11'
CONSTRAINTS=Install/constraints.txt
TOOLS=(ConfigTool ConfigUI Doctor SessionTool TailLog TailStatus)
SERVICES=(Builder Gateway Harvester Intake Uploader)

is_new_enough() { "$1" -c "import sys; sys.exit(sys.version_info < ($OLDEST_PYTHON))" >/dev/null 2>&1; }

can_make_environments() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }

# Prints the first Python that is new enough and passes the test named by the optional first argument.
find_python() {
    local candidate candidates=(python3 python3.13 python3.12 python3.11 /usr/bin/python3)
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if is_new_enough "$candidate" && "${1:-true}" "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# Refuses an invalid PYTHON before anything is installed.
check_named_python() {
    [[ -z ${PYTHON:-} ]] || is_new_enough "$PYTHON" ||
        fail "PYTHON is $PYTHON, but must be Python ${OLDEST_PYTHON/, /.} or newer."
}

# Sets `python` to a Python that can create environments; installs missing packages.
choose_python() {
    local oldest=${OLDEST_PYTHON/, /.}
    check_named_python
    python=$(find_python can_make_environments) && return
    if python=$(find_python); then
        need_package venv "Python's module venv" "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    else
        need_package python "Python $oldest or newer"
    fi
    python=$(find_python can_make_environments) ||
        fail "No Python $oldest or newer that can create a virtual environment was found." \
            "Set its path: PYTHON=/path/to/python3 ./install.sh"
}

# make_environment EXTRA...: creates .venv and installs the project with these extras, if not done yet.
make_environment() {
    local python extra missing=() state
    check_named_python
    if [[ -n ${PYTHON:-} ]] && is_new_enough .venv/bin/python && ! is_made_from "$PYTHON"; then
        step "Removing .venv, which was created from another Python than $PYTHON"
        rm -rf .venv
    fi
    if ! is_new_enough .venv/bin/python; then
        choose_python
        step "Creating a virtual environment in .venv from $python"
        "$python" -m venv --clear .venv
    fi
    # A copied environment must be installed again: its programs contain its old path.
    state=$({ pwd -P && cat setup.py pyproject.toml "$CONSTRAINTS"; } | sha256sum | cut -d ' ' -f 1)
    for extra in "$@"; do
        [[ $(cat ".venv/installed/$extra" 2>/dev/null) == "$state" ]] || missing+=("$extra")
    done
    ((${#missing[@]})) || return 0
    step "Installing NexusCore and its libraries for: ${missing[*]} (a few minutes the first time)"
    # Also for the build tools of pip: up to pip 25.2 by the first variable, later by the second.
    PIP_CONSTRAINT=$CONSTRAINTS PIP_BUILD_CONSTRAINT=$CONSTRAINTS PIP_DISABLE_PIP_VERSION_CHECK=1 \
        .venv/bin/python -m pip install --quiet --editable ".[$(IFS=, && echo "${missing[*]}")]" ||
        fail "The libraries could not be installed; see pip's messages above."
    mkdir -p .venv/installed
    for extra in "${missing[@]}"; do echo "$state" >".venv/installed/$extra"; done
}

# renew_constraints: writes the versions of a fresh environment with all extras, the newest that setup.py allows.
renew_constraints() {
    local python fresh
    choose_python
    fresh=$(mktemp -d "${TMPDIR:-/tmp}/nexuscore-XXXXXX")
    # shellcheck disable=SC2064 # this folder, not a later value of the variable
    trap "rm -rf '$fresh'" EXIT
    step "Installing the newest versions into an environment of their own (some minutes)"
    "$python" -m venv "$fresh"
    PIP_CONSTRAINT='' PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$fresh/bin/python" -m pip install --quiet --upgrade setuptools --editable '.[all]' ||
        fail "The libraries could not be installed; see pip's messages above. $CONSTRAINTS was not changed."
    step "Writing $CONSTRAINTS"
    {
        echo "# The versions that this release was tested with; install.sh installs only these."
        echo "# Made by ./install.sh constraints from the extras in setup.py, with $("$fresh/bin/python" --version)."
        "$fresh/bin/python" -m pip freeze --all --exclude-editable --exclude pip | LC_ALL=C sort --ignore-case
    } >"$fresh/constraints.txt"
    cat "$fresh/constraints.txt" >"$CONSTRAINTS"
}

is_made_from() {
    local base='import os, sys; print(os.path.realpath(sys._base_executable))'
    [[ $(.venv/bin/python -c "$base") == $("$1" -c "$base") ]]
}

# For the system's Python, Tk is a package; another Python has it built in or cannot get it here.
need_tkinter() {
    .venv/bin/python -c 'import tkinter' 2>/dev/null && return
    if [[ $(.venv/bin/python -c 'import sys; print(sys._base_executable)') == /usr/bin/* ]]; then
        need_package tkinter "Python's module tkinter"
    fi
    .venv/bin/python -c 'import tkinter' 2>/dev/null ||
        fail "The Python in .venv has no tkinter, which the session logger's window needs. Use another Python, such as:" \
            "PYTHON=/usr/bin/python3 ./install.sh test"
}

# Installs completion of tools and services for bash; a shell that does not load completions itself gets a line in ~/.bashrc.
switch_on_completion() {
    local folder="${XDG_DATA_HOME:-$HOME/.local/share}/bash-completion/completions" mark='# NexusCore: completion of its tools'
    step "Installing completion for bash: ${TOOLS[*]} ${SERVICES[*]}"
    mkdir -p "$folder"
    local tool
    for tool in "${TOOLS[@]}" "${SERVICES[@]}"; do
        .venv/bin/register-python-argcomplete "$tool" >"$folder/$tool"
    done
    # In a session of its own: an interactive shell would otherwise take over this terminal.
    if setsid --wait timeout 10 bash -ic 'declare -F _completion_loader || declare -F _comp_load' </dev/null >/dev/null 2>&1; then
        return
    fi
    grep -qsF "$mark" "$HOME/.bashrc" && return
    say "    This bash does not load completions itself: adding a line to $HOME/.bashrc"
    # shellcheck disable=SC2016 # for the new shell to expand, not this shell
    printf '\n%s\nfor tool in %s; do [ -r "%s/$tool" ] && . "%s/$tool"; done; unset tool\n' \
        "$mark" "${TOOLS[*]} ${SERVICES[*]}" "$folder" "$folder" >>"$HOME/.bashrc"
}
