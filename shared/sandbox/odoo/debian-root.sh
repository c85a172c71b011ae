#!/bin/sh
# Makes a Debian root file system with Odoo 19: debian-root.sh FOLDER MIRROR
# Run by debian-root.ts as root, in a mount namespace of its own. Lines that start with "== " are progress.
set -eu
root=$1
mirror=$2

say() { echo "== $*"; }
inside() { env -i PATH="$PATH" HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
  ${http_proxy+http_proxy="$http_proxy"} ${https_proxy+https_proxy="$https_proxy"} chroot "$root" "$@"; }

say "debootstrap trixie ..."
debootstrap --variant=minbase trixie "$root" "$mirror"
chmod 755 "$root"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
printf 'path-exclude=/usr/share/%s/*\n' doc man info locale lintian bug >"$root/etc/dpkg/dpkg.cfg.d/small"
# a mirror that lags behind has an old date on sid's index; its signature is still checked
printf 'deb %s %s main\n' "$mirror" trixie "[check-valid-until=no] $mirror" sid >"$root/etc/apt/sources.list"
# trixie for everything; from sid only Odoo, and only what trixie does not have
printf 'Package: *\nPin: release n=sid\nPin-Priority: 50\n\nPackage: odoo-19\nPin: release n=sid\nPin-Priority: 600\n' \
  >"$root/etc/apt/preferences"
echo 'Acquire::Languages "none";' >"$root/etc/apt/apt.conf.d/small"

say "installing odoo-19 ..."
mount -t proc proc "$root/proc"
inside apt-get update -q
inside apt-get install -y -q --no-install-recommends odoo-19 tzdata tzdata-legacy postgresql-client
if ls -d "$root"/usr/lib/python3.14 >/dev/null 2>&1; then
  echo "sid's Python came in: Odoo 19 does not run on it" >&2
  exit 1
fi
say "installed $(inside dpkg-query -W odoo-19 python3 postgresql-client | tr '\t\n' ' ;')"

say "removing what Odoo does not need ..."
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root"/var/log/* \
  "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/lintian "$root"/usr/share/bug \
  "$root"/usr/share/locale "$root"/usr/share/doc-base "$root"/tmp/* "$root"/etc/resolv.conf "$root"/usr/sbin/policy-rc.d
mkdir -p "$root/var/cache/apt/archives/partial" "$root/usr/share/locale"
lib=$root/usr/lib/python3/dist-packages
# the package holds the addons' Python files twice; the second place is only read for what the first lacks
for addon in "$lib"/addons/*/; do [ ! -d "$lib/odoo/addons/$(basename "$addon")" ] || rm -rf "$addon"; done
set --
for language in $KEEP_LANGUAGES; do set -- "$@" ! -name "$language.po" ! -name "${language}_*.po"; done
find "$lib/odoo" -path '*/i18n*/*' -name '*.po*' "$@" -delete
# tests of the addons are never run here
find "$lib" "$root"/usr/lib/python3* -name __pycache__ -path '*/test*' -prune -exec rm -rf {} +

# user, empty data folder, UTC: Odoo refuses to start where TZ or /etc/localtime names a zone it does not know
echo 'odoo:x:101:101::/var/lib/odoo:/usr/sbin/nologin' >>"$root/etc/passwd"
echo 'odoo:x:101:' >>"$root/etc/group"
rm -rf "$root/var/lib/odoo" "$root/etc/odoo" "$root/etc/localtime" "$root/etc/timezone"
mkdir -p "$root/var/lib/odoo"
chown 101:101 "$root/var/lib/odoo"

# compiled once here: the image's user may not write into it, and each start would compile again
say "compiling Python ..."
inside python3 -m compileall -q -j 2 -x '/(tests|templates)/' /usr/lib/python3/dist-packages /usr/lib/python3.13 || true
