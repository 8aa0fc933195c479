# The database of one machine: an SQLite file that the services and the group of operators share. Sourced by install.sh.
# shellcheck shell=bash

# Members of the services' group are the operators.
SHARED_FOLDER=$SERVICE_HOME/database
SHARED_FILE=$SHARED_FOLDER/nexus.db
SETTINGS_FOLDER=${NEXUSCORE_ETC:-/etc/nexuscore}
SETTINGS_FILE=$SETTINGS_FOLDER/nexuscore.toml

# set_up_shared_database [FILE]: unless the settings name a database, creates one that services and operators share, and
# takes over the data of FILE. With "own", that is the database of the user who runs this.
set_up_shared_database() {
    local named
    named=$(named_database) || fail "$SETTINGS_FILE cannot be used; see the reason above."
    if [[ -n $named && $named != "$SHARED_FILE" ]]; then
        [[ -z ${1:-} ]] || fail "$SETTINGS_FILE already names a database ($named): nothing can be taken over into it."
        return 0
    fi
    step "Creating or updating the database that the services and the operators share: $SHARED_FILE"
    # By the services' user: in a folder of another user, root could be led astray by a link.
    as_service_user mkdir -p "$SHARED_FOLDER"
    as_service_user chmod 2770 "$SHARED_FOLDER"
    local own former
    own=$(database_of "$(installing_user)")
    former=$(database_of "$SERVICE_USER")
    if [[ ${1:-} == own ]]; then
        [[ -n $own ]] || fail "The user $(installing_user) has no database to take over; name one: --take-over=FILE"
        take_over "$own"
    elif [[ -n ${1:-} ]]; then
        take_over "$1"
    elif [[ -z $named ]] && is_used "$SERVICE_USER" "$former"; then
        # In older releases the services had one that no tool showed.
        take_over "$former"
    elif is_used "$(installing_user)" "$own"; then
        say "    The tools do not use $own any more. To keep its sessions and settings, run this with --take-over."
    fi
    [[ -n $named ]] || name_shared_database
    with_services_settings -m NexusCore.storage.migrate || fail "The tables could not be created; see the reason above."
    with_services_settings -m NexusCore.declare ||
        fail "The parameters could not be declared; see the reason above."
    add_operator
}

installing_user() { echo "${SUDO_USER:-$(id -un)}"; }

# The settings of a user of this machine, without variables of the present shell.
as_user() {
    local user=$1
    shift
    runuser -u "$user" -- env -i PATH="$PATH" LANG=C.UTF-8 HOME="$(getent passwd "$user" | cut -d : -f 6)" \
        NEXUSCORE_ETC="$SETTINGS_FOLDER" "$PROJECT/.venv/bin/python" "$@"
}

with_services_settings() { as_user "$SERVICE_USER" "$@"; }

# Prints the database that /etc/nexuscore/nexuscore.toml names: the path of a file, or what a server's URL shows.
named_database() {
    [[ -e $SETTINGS_FILE ]] || return 0
    .venv/bin/python - "$SETTINGS_FILE" <<'PYTHON'
import sys
from pathlib import Path

from NexusCore import settings
from NexusCore.errors import NexusError

try:
    main = settings.load({}, (Path(sys.argv[1]),)).main
except NexusError as error:
    sys.exit(str(error))
print("" if main.embedded else main.name if main.kind == "sqlite" else main)
PYTHON
}

# database_of USER: prints the SQLite file that the user's programs have used so far.
database_of() {
    local file
    file=$(as_user "$1" "$PROJECT/Install/take_over.py" file) || return 0
    [[ $file == "$SHARED_FILE" ]] || echo "$file"
}

# is_used USER FILE: succeeds if the user's database has sessions or settings of its own.
is_used() { [[ -n $2 ]] && as_user "$1" "$PROJECT/Install/take_over.py" used "$2" 2>/dev/null; }

# take_over FILE: each side with the rights of the file's own user.
take_over() {
    local file=$1 owner
    [[ $file == /* && -f $file ]] || fail "$file is not a file; --take-over=FILE takes the absolute path of a database."
    owner=$(stat -c %U "$file")
    step "Taking over $file, of the user $owner"
    if as_user "$owner" "$PROJECT/Install/take_over.py" give "$file" |
        with_services_settings "$PROJECT/Install/take_over.py" take "$SHARED_FILE"; then
        say "    The old file is now $file.taken-over; it may be deleted."
        return
    fi
    as_user "$owner" "$PROJECT/Install/take_over.py" back "$file" || true
    fail "Nothing was taken over; see the reason above."
}

# A settings file without a password may be read by all: who may use the database is decided by its folder.
name_shared_database() {
    step "Writing $SETTINGS_FILE, which names the database for services and tools"
    local line="NEXUSCORE_DATABASE = \"sqlite:///$SHARED_FILE\"" old=''
    mkdir -p "$SETTINGS_FOLDER"
    [[ ! -e $SETTINGS_FILE ]] || old=$(<"$SETTINGS_FILE")
    printf '%s\n' "$line" ${old:+"$old"} >"$SETTINGS_FILE.new"
    chmod 0644 "$SETTINGS_FILE.new"
    mv "$SETTINGS_FILE.new" "$SETTINGS_FILE"
}

# Who sets up services by sudo is an operator; root needs no group.
add_operator() {
    local user
    user=$(installing_user)
    if [[ $user != root ]] && ! id -nG "$user" | tr ' ' '\n' | grep -qx "$SERVICE_USER"; then
        step "Making $user an operator: a member of the group $SERVICE_USER, from the next login on"
        usermod -aG "$SERVICE_USER" "$user"
    fi
    say "    Other operators: sudo usermod -aG $SERVICE_USER USER. They can also read the secrets in this database."
    local used
    used=$(as_user "$user" -c 'from NexusCore import settings; print(settings.load().main)' 2>/dev/null) || return 0
    [[ $used == "sqlite:///$SHARED_FILE" ]] ||
        say "    Note: settings of $user's own name another database ($used): the tools of $user do not show the services."
}
