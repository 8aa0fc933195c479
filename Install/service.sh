# System services: their user, start scripts and units. Sourced by install.sh.
# shellcheck shell=bash

SERVICE_USER=nexuscore
SERVICE_HOME=/var/lib/nexuscore
SERVICE_OUTPUT=/var/log/nexuscore
declare -A SERVICE_MODULES=(
    [builder]=Services.Builder [gateway]=Services.Gateway [harvester]=Services.Harvester [intake]=Services.Intake
    [uploader]=Services.Uploader
)

# shellcheck source=Install/shared_database.sh
. Install/shared_database.sh

# With DESTDIR, for building a package, only files below that folder are written.
set_up_services() {
    local names=() start='' take='' argument name
    for argument in "$@"; do
        case $argument in
            --start) start=yes ;;
            --take-over) take=own ;;
            --take-over=?*) take=${argument#*=} ;;
            -h | --help)
                service_usage
                return
                ;;
            *)
                [[ -n ${SERVICE_MODULES[$argument]:-} ]] || refuse "unknown service '$argument'"
                names+=("$argument")
                ;;
        esac
    done
    ((${#names[@]})) || refuse "service needs the name of at least one service"
    [[ $PROJECT =~ ^[A-Za-z0-9/._+@:,-]+$ ]] ||
        fail "The path $PROJECT has a space or another character that start scripts do not allow."
    if [[ -n ${DESTDIR:-} ]]; then
        for name in "${names[@]}"; do install_start_scripts "$name"; done
        return
    fi
    ((EUID == 0)) || fail "Setting up system services needs root. Run: sudo ./install.sh service $*"
    make_environment setup services logger
    create_service_user
    check_service_user_can_run
    create_output_folder
    for name in "${names[@]}"; do
        install_start_scripts "$name"
        enable_service "$name"
    done
    set_up_shared_database "$take"
    hand_over_settings
    for name in "${names[@]}"; do
        if [[ $name == gateway ]]; then use_gateway_account; fi
    done
    if has_systemd; then systemctl daemon-reload; fi
    for name in "${names[@]}"; do
        if [[ -n $start ]]; then start_service "$name"; fi
    done
    if [[ -z $start ]]; then say "Start a service with: service nexuscore-${names[0]} start"; fi
}

service_usage() {
    cat <<'TEXT'
Installs services of this machine: their user, systemd units and init scripts, and the database they share with operators.

  sudo ./install.sh service builder harvester uploader --start
                                  three services, started now and whenever the machine starts
  sudo ./install.sh service builder --take-over
                                  the services continue with the sessions and settings of your own database
  sudo usermod -aG nexuscore USER makes USER an operator, from the next login on

  NAME              builder, gateway, harvester, intake, uploader
  --start           start or restart them now
  --take-over       move the data of the database that you have used so far (of the user of sudo) to the services
  --take-over=FILE  the same with another SQLite file of NexusCore

Unless /etc/nexuscore/nexuscore.toml names a database (./install.sh mysql does), services and tools use
/var/lib/nexuscore/database/nexus.db. Members of the group nexuscore see and change everything in it, secrets too.
TEXT
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
            "other users. Move the project to a folder that all users may enter, such as /opt, create .venv from the" \
            "system's Python (PYTHON=/usr/bin/python3 ./install.sh), and run this again."
    done
    fail "The user of the services, $SERVICE_USER, cannot run $PROJECT/.venv/bin/python."
}

# Prints the topmost folder of a path that the services' user may not enter.
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

# Prints a template filled in for a service.
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

# Settings with a password are readable only for their owner, so that must be the services' user.
hand_over_settings() {
    [[ $(stat -c %a "$SETTINGS_FILE") == 600 ]] || return 0
    step "Making the user $SERVICE_USER the owner of $SETTINGS_FILE"
    chown "$SERVICE_USER:" "$SETTINGS_FILE"
}

# The Gateway has an account of its own, which can do less than that of the other services.
use_gateway_account() {
    local file="$SETTINGS_FOLDER/nexuscore-gateway.toml" defaults=/etc/default/nexuscore-gateway
    [[ -e $file ]] || return 0
    chown "$SERVICE_USER:" "$file"
    [[ ! -e $defaults ]] || return 0
    step "Writing $defaults, which has the Gateway use its own account"
    echo "NEXUSCORE_SETTINGS=$file" >"$defaults"
}

start_service() {
    step "Starting nexuscore-$1"
    if has_systemd; then systemctl restart "nexuscore-$1.service"; else "/etc/init.d/nexuscore-$1" restart; fi
}
