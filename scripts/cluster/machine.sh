#!/bin/bash
# What a cluster changes on its machine, and how that is put back. Run as root by up.ts and down.ts:
#   machine.sh prepare RUN BRIDGE NODE SERVICES PORT   PORT is the API server's
#   machine.sh open NODE PORT ...                       pods may reach these TCP ports at NODE
#   machine.sh unmount DATA                              what is mounted in DATA
#   machine.sh restore RUN BRIDGE DATA
# RUN holds the notes of how the machine was; they are written before anything is changed.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

# kubelet, kube-proxy and the network plugins write these
readonly sysctls="net/ipv4/ip_forward net/ipv4/conf/all/route_localnet net/ipv4/vs/conntrack vm/overcommit_memory
  vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes
  fs/inotify/max_user_instances fs/inotify/max_user_watches"
# containerd, kubelet and runc make these, wherever their own folders are
readonly folders="/etc/cni /opt/cni /opt/containerd /run/cni /run/containerd /run/netns /run/runc /usr/libexec/kubernetes
  /var/lib/calico /var/lib/cni /var/lib/containerd /var/lib/kubelet /var/log/containers /var/log/pods"
readonly chains='(KUBE|CNI|FLEET)-[A-Za-z0-9-]*'

note() {
  local notes=$1 name
  [ ! -s "$notes" ] || return 0
  {
    for name in $sysctls; do [ ! -e "/proc/sys/$name" ] || echo "sysctl $name $(cat "/proc/sys/$name")"; done
    for name in $folders; do [ -e "$name" ] || echo "absent $name"; done
  } >"$notes.new"
  mv "$notes.new" "$notes"
}

bridge() {
  local bridge=$1 node=$2 services=$3
  ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
  ip addr show dev "$bridge" | grep -qF "$node/24" || ip addr add "$node/24" dev "$bridge"
  ip link set "$bridge" up
  # without it, what goes to a service address that kube-proxy does not know would leave this machine
  ip route replace "$services" dev "$bridge" src "$node"
}

# first CHAIN RULE...: puts the rule at the top of the chain unless it is in it
first() {
  local chain=$1
  shift
  iptables -w -C "$chain" "$@" 2>/dev/null || iptables -w -I "$chain" "$@"
}

# Pods reach each other, and of this machine the API server and the ports that are opened. Nothing of theirs leaves it.
# A chain is whole before anything leads to it.
firewall() {
  local bridge=$1 node=$2 port=$3
  if iptables -w -N FLEET-OUT 2>/dev/null; then
    iptables -w -A FLEET-OUT -p tcp -j REJECT --reject-with tcp-reset
    iptables -w -A FLEET-OUT -j REJECT
  fi
  first FORWARD -i "$bridge" ! -o "$bridge" -j FLEET-OUT
  if iptables -w -N FLEET-IN 2>/dev/null; then
    iptables -w -A FLEET-IN -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    iptables -w -A FLEET-IN -p tcp -d "$node" --dport "$port" -j ACCEPT
    iptables -w -A FLEET-IN -j REJECT
  fi
  first INPUT -i "$bridge" -j FLEET-IN
}

open() {
  local node=$1 port
  shift
  for port in "$@"; do first FLEET-IN -p tcp -d "$node" --dport "$port" -j ACCEPT; done
}

# at_least SYSCTL NUMBER: where it may not be raised, it may be enough
at_least() {
  [ "$(cat "/proc/sys/$1")" -ge "$2" ] || echo "$2" >"/proc/sys/$1" || true
}

prepare() {
  local run=$1 bridge=$2 node=$3 services=$4 port=$5
  note "$run/before"
  bridge "$bridge" "$node" "$services"
  firewall "$bridge" "$node" "$port"
  # kubelet ends when it gets no inotify instance; all programs of one user share 128 of them
  at_least fs/inotify/max_user_instances 1024
  at_least fs/inotify/max_user_watches 65536
  # IPv6 of the bridge stays off: nothing of the cluster has such an address
  [ ! -e "/proc/sys/net/ipv6/conf/$bridge/disable_ipv6" ] || echo 1 >"/proc/sys/net/ipv6/conf/$bridge/disable_ipv6"
}

# Of each table in one transaction: first the rules that lead to a chain of ours, then the content of the chains, then these.
remove_chains() {
  local tables=$1 table saved names
  for table in mangle nat filter; do
    saved=$("$tables-save" -t "$table" 2>/dev/null) || continue
    names=$(sed -nE "s/^:($chains) .*/\1/p" <<<"$saved")
    [ -n "$names" ] || continue
    {
      echo "*$table"
      sed -nE "/^-A (INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING) .*-j $chains/s/^-A/-D/p" <<<"$saved"
      sed 's/^/-F /' <<<"$names"
      sed 's/^/-X /' <<<"$names"
      echo COMMIT
    } | "$tables-restore" -w --noflush
  done
}

unmount() {
  local data=$1 mount
  awk -v data="$data/" 'index($2, data) == 1 { print $2 }' /proc/mounts | tac |
    while read -r mount; do umount "$mount" 2>/dev/null || umount -l "$mount"; done
}

remove_networks() {
  local mount
  awk '$2 ~ "^/run/netns/cni-" { print $2 }' /proc/mounts | tac |
    while read -r mount; do umount "$mount" 2>/dev/null || umount -l "$mount"; done
  rm -f /run/netns/cni-*
}

remove_cgroups() {
  local folder
  for folder in /sys/fs/cgroup/{,*/}{kubepods,k8s.io}; do
    [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# Only what is known to be left behind: whoever installed another runtime meanwhile keeps its files.
remove_made() {
  case $1 in
    /var/lib/cni | /run/containerd | /run/runc) rm -rf --one-file-system "$1" ;;
    *) [ ! -e "$1" ] || find "$1" -xdev -depth '(' -type d -empty -o -type l -o -type s -o -name '*_internal_checkpoint' \
      -o -name DEPRECATION -o -name cni.lock ')' -delete 2>/dev/null || true ;;
  esac
}

put_back() {
  local kind name value
  while read -r kind name value; do
    case $kind in
      sysctl) [ "$(cat "/proc/sys/$name")" = "$value" ] || echo "$value" >"/proc/sys/$name" ;;
      absent) remove_made "$name" ;;
    esac
  done <"$1"
}

restore() {
  local run=$1 bridge=$2 data=$3
  remove_chains iptables
  remove_chains ip6tables
  unmount "$data"
  remove_networks
  ip link show "$bridge" >/dev/null 2>&1 && ip link del "$bridge"
  remove_cgroups
  [ ! -s "$run/before" ] || put_back "$run/before"
}

command=$1
shift
case $command in
  prepare | open | unmount | restore) "$command" "$@" ;;
  *) echo "machine.sh prepare|open|unmount|restore" >&2 && exit 2 ;;
esac
