# A MariaDB server with NexusCore's database. Sourced by install.sh.
# shellcheck shell=bash

# NEXUSCORE_MYSQL_SOCKET names the socket of a server of one's own; NEXUSCORE_MYSQL_ADMIN a file with the login of an
# administrator. With either, no server is installed or started.
set_up_mysql() {
    local new='' one
    for one in "$@"; do
        [[ $one == --new-passwords ]] || refuse "mysql takes no argument '$one'"
        new=$one
    done
    if [[ -z ${NEXUSCORE_MYSQL_SOCKET:-}${NEXUSCORE_MYSQL_ADMIN:-} ]] && ! as_root true; then
        fail "A database server is set up with root's rights, which this user has not." \
            "Please ask the administrator of this machine to run ./install.sh mysql in $PROJECT."
    fi
    make_environment setup services logger
    local folder owner run=() server=()
    owner=$(id -un)
    if ((EUID == 0)); then
        folder=${NEXUSCORE_ETC:-/etc/nexuscore}
        if id nexuscore >/dev/null 2>&1; then owner=nexuscore; fi
    else
        folder=${XDG_CONFIG_HOME:-$HOME/.config}/nexuscore
    fi
    mkdir -p "$folder"
    if [[ -z ${NEXUSCORE_MYSQL_SOCKET:-}${NEXUSCORE_MYSQL_ADMIN:-} ]]; then
        have_server
        NEXUSCORE_MYSQL_SOCKET=$(server_socket)
        # The server knows root by the process that connects, without a password.
        run=(as_root)
        read -ra server <<<"$(server_options)"
    fi
    "${run[@]}" env NEXUSCORE_MYSQL_SOCKET="${NEXUSCORE_MYSQL_SOCKET:-}" NEXUSCORE_MYSQL_ADMIN="${NEXUSCORE_MYSQL_ADMIN:-}" \
        .venv/bin/python Install/set_up_mysql.py --folder "$folder" --owner "$owner" "${server[@]}" ${new:+"$new"}
}

# Prints how the configuration of the system's own server can be added to, for a certificate that it may need.
server_options() {
    local one folder='' service restart
    for one in /etc/mysql/mariadb.conf.d /etc/mysql/mysql.conf.d /etc/mysql/conf.d /etc/my.cnf.d; do
        if [[ -d $one ]]; then
            folder=$one
            break
        fi
    done
    service=$(server_service) || return 0
    [[ -n $folder ]] || return 0
    restart="service $service restart"
    [[ -d /run/systemd/system ]] && restart="systemctl restart $service"
    echo "--server-folder $folder --server-restart=${restart// /,}"
}

# Prints the socket at which the system's own server listens.
server_socket() {
    local one configured=''
    if command -v my_print_defaults >/dev/null; then
        configured=$(my_print_defaults --mysqld client-server | sed -n 's/^--socket=//p' | tail -n 1)
    fi
    for one in "$configured" /run/mysqld/mysqld.sock /var/lib/mysql/mysql.sock; do
        if [[ -S $one ]]; then
            echo "$one"
            return
        fi
    done
    return 1
}

server_answers() {
    local place
    place=$(server_socket) && .venv/bin/python - "$place" 2>/dev/null <<'PYTHON'
import socket, sys
with socket.socket(socket.AF_UNIX) as one:
    one.settimeout(5)
    one.connect(sys.argv[1])
PYTHON
}

# Prints the name of the service that the system's server has, if it has one: its bare programs may be here without.
server_service() {
    local one
    for one in mariadb mysql mysqld; do
        if [[ -e /etc/init.d/$one || -e /lib/systemd/system/$one.service || -e /usr/lib/systemd/system/$one.service ]]; then
            echo "$one"
            return
        fi
    done
    return 1
}

# Makes sure that the system's own server is installed and answers; a server elsewhere, as of tests, does not count.
have_server() {
    server_answers && return
    server_service >/dev/null || need_package server "a MariaDB server"
    local service
    service=$(server_service) || fail "The MariaDB server's package brought no service that could be started."
    step "Starting the service $service"
    if [[ -d /run/systemd/system ]]; then
        as_root systemctl enable --now "$service"
    else
        as_root service "$service" start
    fi || fail "The service $service could not be started; its own log says why."
    local left=60
    until server_answers; do
        ((left-- > 0)) || fail "The service $service has started, but does not answer."
        sleep 1
    done
}
