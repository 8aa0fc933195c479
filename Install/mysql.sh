# A MariaDB server with NexusCore's database. Sourced by install.sh.
# shellcheck shell=bash

# NEXUSCORE_MYSQL_SOCKET is the socket of another server, NEXUSCORE_MYSQL_ADMIN a file with the login of its
# administrator. With either, no server is installed or started.
set_up_mysql() {
    local new='' argument
    for argument in "$@"; do
        [[ $argument == --new-passwords ]] || refuse "mysql: unexpected argument '$argument'"
        new=$argument
    done
    if [[ -z ${NEXUSCORE_MYSQL_SOCKET:-}${NEXUSCORE_MYSQL_ADMIN:-} ]] && ! as_root true; then
        fail "Setting up a database server needs root's rights, which this user does not have." \
            "Ask the administrator of this machine to run ./install.sh mysql in $PROJECT."
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
        # The server recognizes root by the connecting process, without a password.
        run=(as_root)
        read -ra server <<<"$(server_options)"
    fi
    "${run[@]}" env NEXUSCORE_MYSQL_SOCKET="${NEXUSCORE_MYSQL_SOCKET:-}" NEXUSCORE_MYSQL_ADMIN="${NEXUSCORE_MYSQL_ADMIN:-}" \
        .venv/bin/python Install/set_up_mysql.py --folder "$folder" --owner "$owner" "${server[@]}" ${new:+"$new"}
}

# Prints the options for extending the configuration of the system's server with a certificate.
server_options() {
    local candidate folder='' service restart
    for candidate in /etc/mysql/mariadb.conf.d /etc/mysql/mysql.conf.d /etc/mysql/conf.d /etc/my.cnf.d; do
        if [[ -d $candidate ]]; then
            folder=$candidate
            break
        fi
    done
    service=$(server_service) || return 0
    [[ -n $folder ]] || return 0
    restart="service $service restart"
    [[ -d /run/systemd/system ]] && restart="systemctl restart $service"
    echo "--server-folder $folder --server-restart=${restart// /,}"
}

# Prints the socket of the system's server.
server_socket() {
    local candidate configured=''
    if command -v my_print_defaults >/dev/null; then
        configured=$(my_print_defaults --mysqld client-server | sed -n 's/^--socket=//p' | tail -n 1)
    fi
    for candidate in "$configured" /run/mysqld/mysqld.sock /var/lib/mysql/mysql.sock; do
        if [[ -S $candidate ]]; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

server_answers() {
    local place
    place=$(server_socket) && .venv/bin/python - "$place" 2>/dev/null <<'PYTHON'
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(5)
    connection.connect(sys.argv[1])
PYTHON
}

# Prints the name of the system's database service, if any: the programs may be installed without a service.
server_service() {
    local name
    for name in mariadb mysql mysqld; do
        if [[ -e /etc/init.d/$name || -e /lib/systemd/system/$name.service || -e /usr/lib/systemd/system/$name.service ]]; then
            echo "$name"
            return
        fi
    done
    return 1
}

# Makes sure that the system's server is installed and answers; other servers, such as those of tests, do not count.
have_server() {
    server_answers && return
    server_service >/dev/null || need_package server "a MariaDB server"
    local service
    service=$(server_service) || fail "The package of the MariaDB server has no service to start."
    step "Starting the service $service"
    if [[ -d /run/systemd/system ]]; then
        as_root systemctl enable --now "$service"
    else
        as_root service "$service" start
    fi || fail "The service $service could not be started; see its log."
    local left=60
    until server_answers; do
        ((left-- > 0)) || fail "The service $service was started, but does not answer."
        sleep 1
    done
}
