# Sourced by scripts/start and scripts/test: makes .venv and installs from requirements.lock.
# POSIX sh. Needs Python 3.11 or newer with its venv module; nothing else.
#
# The caller sets $root, the folder of the project.
#
# daguerre_setup EXTRAS KIND [FULLER_KIND …]
#   installs the project with EXTRAS unless the stamp of KIND (or of a FULLER_KIND, which holds all of it)
#   says that exactly this was installed from exactly these files before.

# shellcheck disable=SC2154

say() { printf '%s\n' "daguerre: $*" >&2; }
die() { say "$*"; exit 1; }

# Everything that the environment depends on: when any of it changes, we install again.
setup_state() {
    printf 'folder %s\n' "$root"
    cat "$root/requirements.lock" "$root/pyproject.toml" "$root/scripts/setup.sh"
}

# setup_done KIND …: whether one of them is installed as it stands.
setup_done() {
    [ -x "$root/.venv/bin/daguerre" ] || return 1
    for each in "$@"; do
        stamp=$root/.venv/.daguerre-$each
        if [ -f "$stamp" ] && setup_state | cmp -s - "$stamp"; then return 0; fi
    done
    return 1
}

find_python() {
    for candidate in "${DAGUERRE_PYTHON:-python3.11}" python3.11 python3.12 python3.13 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

make_venv() {
    python=$(find_python) || die "no Python 3.11 or newer found. Install it (Debian, Ubuntu: apt install python3.11 python3.11-venv;
macOS: brew install python@3.11), or name one: DAGUERRE_PYTHON=/path/to/python3.11 $0"
    "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 \
        || die "this Python has no venv module ($python). Debian and Ubuntu keep it apart: apt install python3-venv"
    "$python" -m venv --clear "$root/.venv" || die "could not make $root/.venv: is the folder writable and the disk not full?"
}

check_room() {
    free=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
    [ "${free:-9999999}" -ge 2500000 ] \
        || die "only $((free / 1024)) MB free in $root; installing takes about 1.5 GB (6 GB with CUDA). Make room and run it again."
}

# pip's own lines go to a file: most are warnings about the machine's package index, which nobody here can mend.
# --no-compile: Python compiles what is used when it is used; compiling all of torch takes longer than installing it.
run_pip() {
    "$root/.venv/bin/python" -m pip --disable-pip-version-check --no-input install --no-compile \
        -c "$root/requirements.lock" "$@" >>"$setup_log" 2>&1
}

phase() { say "  $*"; }

# Each phase by itself, so that one line tells what is going on. setuptools first: the project itself is then built
# with the pinned one, in this environment.
install_extras() {
    phase "bot, queue and command line"
    run_pip setuptools && run_pip --no-build-isolation -e "$root" || return 1
    phase "$2"
    run_pip --no-build-isolation -e "${root}[$1]"
}

# What went wrong, without the warnings before it.
show_log() {
    grep -v -e '^WARNING: Location' -e '^\[notice\]' "$setup_log" | tail -n 15 | sed 's/^/    /' >&2
    df -Ph "$root" >&2
    die "installing failed, see the lines above (all of them: $setup_log).
Usual reasons: no network, a full disk. Then run it again."
}

daguerre_setup() {
    extras=$1
    shift
    if setup_done "$@"; then return 0; fi
    # Two at once: the second waits, then finds everything done. Without flock (macOS) do not start two at once.
    if command -v flock >/dev/null 2>&1; then
        exec 9<"$root/requirements.lock"
        flock -n 9 || { say "another set-up is at work in $root; waiting for it"; flock 9; }
    fi
    if ! setup_done "$@"; then
        case ",$extras," in
            *,dev,*) what="torch, the data tools and the tests' packages" size="2 GB" ;;
            *,data,*) what="torch and the tools for data and training" size="1.6 GB" ;;
            *) what="torch and what else draws" size="1.4 GB" ;;
        esac
        say "setting up $root/.venv (once: about $size, some minutes)"
        begun=$(date +%s)
        check_room
        # The mark tells the next run that this one was cut off: a half-installed package looks whole to pip,
        # so that run begins with an empty environment (pip keeps what it has downloaded).
        mark=$root/.venv/.daguerre-unfinished
        if [ -e "$mark" ] || ! "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1; then
            phase "a Python environment"
            make_venv
        fi
        # What was added once stays added.
        rm -f "$root/.venv/.daguerre-start" "$root/.venv/.daguerre-test"
        setup_log=$root/.venv/.daguerre-setup.log
        { : >"$mark" && : >"$setup_log"; } || die "cannot write to $root/.venv"
        install_extras "$extras" "$what" || show_log
        setup_state >"$root/.venv/.daguerre-$1.part" && mv "$root/.venv/.daguerre-$1.part" "$root/.venv/.daguerre-$1" \
            && rm -f "$mark"
        say "set-up done in $(($(date +%s) - begun)) s"
    fi
    exec 9<&-
}
