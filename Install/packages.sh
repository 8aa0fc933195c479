# Packages of the system: their names, and installing them. Sourced by install.sh.
# shellcheck shell=bash

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
_lists_are_fresh=

# Runs a command with root's rights: directly, or through sudo.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

package_manager() {
    local manager
    for manager in apt-get dnf zypper pacman; do
        if command -v "$manager" >/dev/null; then
            echo "$manager"
            return
        fi
    done
    echo none
}

# Prints the packages, by their names on this system, for a need of the project.
packages_for() {
    case "$1:$(package_manager)" in
        server:apt-get | server:dnf | server-programs:dnf) echo mariadb-server ;;
        server:* | server-programs:zypper | server-programs:pacman) echo mariadb ;;
        server-programs:apt-get) server_program_packages ;;
        galera:pacman) echo galera ;;
        galera:*) echo galera-4 ;;
        venv:apt-get) echo "python${2:-3}-venv" ;;
        venv:zypper) echo python311 ;;
        venv:pacman) echo python ;;
        venv:*) echo python3 ;;
        python:apt-get) python_packages ;;
        python:*) packages_for venv ;;
        tkinter:dnf) echo python3-tkinter ;;
        tkinter:pacman) echo tk ;;
        tkinter:*) echo python3-tk ;;
        xvfb:apt-get | xvfb:none) echo xvfb ;;
        xvfb:pacman) echo xorg-server-xvfb ;;
        xvfb:*) echo xorg-x11-server-Xvfb ;;
        faketime:apt-get | faketime:none) echo faketime ;;
        faketime:*) echo libfaketime ;;
        *) echo "$1" ;;
    esac
}

# Debian and newer Ubuntu package the server's programs without its service; older Ubuntu has the version in the name.
server_program_packages() {
    refresh_lists
    local names
    names=$(apt-cache search --names-only '^mariadb-(server|client)-core(-[0-9.]+)?$' | cut -d ' ' -f 1 | sort)
    if grep -qx mariadb-server-core <<<"$names"; then
        echo mariadb-server-core mariadb-client-core
    else
        echo "$names"
    fi
}

# The system's newest Python with a package, else its default Python.
python_packages() {
    refresh_lists
    local version
    for version in 3.13 3.12 3.11; do
        if apt-cache show "python$version-venv" >/dev/null 2>&1; then
            echo "python$version" "python$version-venv"
            return
        fi
    done
    echo python3 python3-venv
}

refresh_lists() {
    [[ -n $_lists_are_fresh ]] && return
    # Go on after a failure: the package may be in the present lists.
    as_root apt-get update -qq >&2 || true
    _lists_are_fresh=yes
}

# need_package THING WHY [VERSION]: installs the packages for THING, or says what to ask the administrator for.
need_package() {
    local names
    [[ $(package_manager) == apt-get ]] && refresh_lists
    read -ra names <<<"$(packages_for "$1" "${3:-}" | tr '\n' ' ')"
    install_packages "$2" "${names[@]}"
}

# need_programs PROGRAM=THING...: installs the packages of all missing programs at once.
need_programs() {
    local need program names=() missing=()
    for need in "$@"; do
        command -v "${need%=*}" >/dev/null && continue
        ((${#missing[@]})) || [[ $(package_manager) != apt-get ]] || refresh_lists
        missing+=("${need%=*}")
        names+=("$(packages_for "${need#*=}")")
    done
    ((${#missing[@]})) || return 0
    read -ra names <<<"$(printf '%s\n' "${names[@]}" | tr ' ' '\n' | sort -u | tr '\n' ' ')"
    install_packages "the programs ${missing[*]}" "${names[@]}"
    for program in "${missing[@]}"; do
        command -v "$program" >/dev/null || fail "The program $program is still missing after its package was installed."
    done
}

# install_packages WHAT NAME...
install_packages() {
    local what=$1 command log
    shift
    case $(package_manager) in
        apt-get) command=(apt-get install -y --no-install-recommends) ;;
        dnf) command=(dnf install -y) ;;
        zypper) command=(zypper --non-interactive install) ;;
        pacman) command=(pacman -S --noconfirm --needed) ;;
        none) fail "This machine lacks $what, and has no package manager (apt-get, dnf, zypper or pacman)." \
            "Install them by hand (packages $* or similar), and run this again." ;;
    esac
    step "Installing $what (packages: $*)"
    log=$(mktemp)
    if as_root env DEBIAN_FRONTEND=noninteractive "${command[@]}" "$@" >"$log" 2>&1; then
        rm -f "$log"
        return
    fi
    tail -n 10 "$log" >&2
    rm -f "$log"
    if ((EUID == 0)); then fail "The package manager could not install $what; see its messages above."; fi
    fail "This machine lacks $what, and this user may not install them." \
        "Ask the administrator of this machine to run: ${command[*]} $*"
}
