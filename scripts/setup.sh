# Sourced by scripts/start and scripts/test: makes .venv and installs from requirements.lock.
# POSIX sh. Needs Python 3.11 or newer with its venv module; nothing else.
#
# The caller sets $root, the folder of the project.
#
# daguerre_setup KIND EXTRAS [FULLER_KIND]
#   installs the project with EXTRAS unless the stamp of KIND (or of FULLER_KIND, which holds all of it)
#   says that exactly this was installed from exactly these files before.

# shellcheck disable=SC2154

say() { printf '%s\n' "daguerre: $*" >&2; }
die() { say "$*"; exit 1; }

# Everything that the environment depends on: when any of it changes, we install again.
setup_state() {
    printf 'folder %s\n' "$root"
    cat "$root/requirements.lock" "$root/pyproject.toml" "$root/scripts/setup.sh"
}

setup_done() {
    [ -x "$root/.venv/bin/daguerre" ] && [ -f "$1" ] && setup_state | cmp -s - "$1"
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
        || die "only $((free / 1024)) MB free in $root; installing takes about 2 GB (6 GB with CUDA). Make room and run it again."
}

run_pip() {
    "$root/.venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"
}

install_extras() {
    # setuptools first: the project itself is then built with the pinned one, in this environment.
    run_pip install --quiet -c "$root/requirements.lock" setuptools \
        && run_pip install --quiet -c "$root/requirements.lock" --no-build-isolation -e "${root}[$1]"
}

daguerre_setup() {
    kind=$1 extras=$2 fuller=${3:-$1}
    stamp=$root/.venv/.daguerre-$kind
    if setup_done "$stamp" || setup_done "$root/.venv/.daguerre-$fuller"; then
        return 0
    fi
    # Two at once: the second waits, then finds everything done. Without flock (macOS) do not start two at once.
    if command -v flock >/dev/null 2>&1; then
        exec 9<"$root/requirements.lock"
        flock -n 9 || { say "another set-up is at work in $root; waiting for it"; flock 9; }
    fi
    if ! { setup_done "$stamp" || setup_done "$root/.venv/.daguerre-$fuller"; }; then
        say "setting up $root/.venv (once; some minutes and about 2 GB)"
        check_room
        # The mark tells the next run that this one was cut off: a half-installed package looks whole to pip,
        # so that run begins with an empty environment (pip keeps what it has downloaded).
        mark=$root/.venv/.daguerre-unfinished
        if [ -e "$mark" ] || ! "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1; then make_venv; fi
        rm -f "$root/.venv/.daguerre-start" "$root/.venv/.daguerre-test"
        : >"$mark" || die "cannot write to $root/.venv"
        install_extras "$extras" || {
            df -Ph "$root" >&2
            die "installing failed, see the lines above. Usual reasons: no network, a full disk. Then run it again."
        }
        setup_state >"$stamp.part" && mv "$stamp.part" "$stamp" && rm -f "$mark"
        say "set-up done"
    fi
    exec 9<&-
}
