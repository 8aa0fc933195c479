# System services: their user, start scripts and units. Sourced by install.sh.
# shellcheck shell=bash

SERVICE_USER=nexuscore
SERVICE_HOME=/var/lib/nexuscore
SERVICE_OUTPUT=/var/log/nexuscore
declare -A SERVICE_MODULES=([builder]=Services.Builder [harvester]=Services.Harvester [uploader]=Services.Uploader)

# With DESTDIR, as for making a package, files are written below that folder and nothing else is done.
set_up_services() {
    local names=() start='' one
    for one in "$@"; do
        case $one in
            --start) start=yes ;;
            *)
                [[ -n ${SERVICE_MODULES[$one]:-} ]] || refuse "there is no service called '$one'"
                names+=("$one")
                ;;
        esac
    done
    ((${#names[@]})) || refuse "service needs the name of at least one service"
    [[ $PROJECT =~ ^[A-Za-z0-9/._+@:,-]+$ ]] ||
        fail "The folder's name, $PROJECT, has a space or other character that start scripts cannot hold."
    if [[ -n ${DESTDIR:-} ]]; then
        for one in "${names[@]}"; do install_start_scripts "$one"; done
        return
    fi
    ((EUID == 0)) || fail "System services are set up by root. Run: sudo ./install.sh service $*"
    make_environment setup services logger
    create_service_user
    check_service_user_can_run
    create_output_folder
    for one in "${names[@]}"; do
        install_start_scripts "$one"
        enable_service "$one"
    done
    hand_over_settings
    if has_systemd; then systemctl daemon-reload; fi
    for one in "${names[@]}"; do
        if [[ -n $start ]]; then start_service "$one"; fi
    done
    if [[ -z $start ]]; then say "Start a service with: service nexuscore-${names[0]} start"; fi
}

has_systemd() { [[ -d /run/systemd/system ]]; }

create_service_user() {
    getent passwd "$SERVICE_USER" >/dev/null && return
    step "Creating the system user $SERVICE_USER (home $SERVICE_HOME, no login)"
    local nologin
    nologin=$(command -v nologin || echo /bin/false)
    useradd --system --user-group --home-dir "$SERVICE_HOME" --create-home --shell "$nologin" \
        --comment "NexusCore services" "$SERVICE_USER"
    chmod 0750 "$SERVICE_HOME"
}

# The supervisors of the init scripts create and rotate files there, as the services' user.
create_output_folder() {
    mkdir -p "$SERVICE_OUTPUT"
    chown -hR "$SERVICE_USER:" "$SERVICE_OUTPUT"
    chmod 0750 "$SERVICE_OUTPUT"
}

as_service_user() { runuser -u "$SERVICE_USER" -- "$@"; }

check_service_user_can_run() {
    as_service_user .venv/bin/python -c 'import NexusCore' 2>/dev/null && return
    local place folder
    for place in "$PROJECT/NexusCore" "$(readlink -f .venv/bin/python)"; do
        folder=$(first_closed_folder "$place") || continue
        fail "The services run as the user $SERVICE_USER, who cannot use $place because the folder $folder is closed to" \
            "other users. Put the project into a folder that everyone may enter, such as /opt, make .venv from the" \
            "system's Python (PYTHON=/usr/bin/python3 ./install.sh), and run this again."
    done
    fail "The user $SERVICE_USER, as whom the services run, cannot run $PROJECT/.venv/bin/python."
}

# Prints the topmost folder on the way to a file that the services' user may not enter.
first_closed_folder() {
    local folder='' part parts
    IFS=/ read -ra parts <<<"${1%/*}"
    for part in "${parts[@]:1}"; do
        folder+="/$part"
        if ! as_service_user test -x "$folder"; then
            echo "$folder"
            return
        fi
    done
    return 1
}

install_start_scripts() {
    local script="${DESTDIR:-}/etc/init.d/nexuscore-$1" unit="${DESTDIR:-}/etc/systemd/system/nexuscore-$1.service"
    step "Writing $script and $unit"
    mkdir -p "${script%/*}" "${unit%/*}"
    render "$1" Install/init.d/nexuscore.in >"$script"
    chmod 0755 "$script"
    render "$1" Install/systemd/nexuscore.service.in >"$unit"
    chmod 0644 "$unit"
}

# Prints a template filled in for one service.
render() {
    sed -e "s|@NAME@|$1|g" -e "s|@MODULE@|${SERVICE_MODULES[$1]}|g" -e "s|@USER@|$SERVICE_USER|g" \
        -e "s|@PYTHON@|$PROJECT/.venv/bin/python|g" -e "s|@PROJECT@|$PROJECT|g" "$2"
}

enable_service() {
    if command -v update-rc.d >/dev/null; then
        update-rc.d "nexuscore-$1" defaults
    fi
    if command -v systemctl >/dev/null; then
        systemctl --quiet enable "nexuscore-$1.service"
    fi
}

# The settings hold a password: the services' user must own them, since nobody else may read them.
hand_over_settings() {
    local file="${NEXUSCORE_ETC:-/etc/nexuscore}/nexuscore.toml"
    if [[ -e $file ]]; then
        step "Handing $file over to the user $SERVICE_USER"
        chown "$SERVICE_USER:" "$file"
    else
        say "There is no $file yet, so the services would use a database of their own that the tools do not see."
        say "Create it with ./install.sh mysql, run by root, or copy your own there (owner $SERVICE_USER, mode 0600)."
    fi
}

start_service() {
    step "Starting nexuscore-$1"
    if has_systemd; then systemctl restart "nexuscore-$1.service"; else "/etc/init.d/nexuscore-$1" restart; fi
}
