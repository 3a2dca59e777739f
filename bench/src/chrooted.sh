# Makes a peer's root directory: a writable overlay over the tree of clients, with this kernel's file systems.
# Runs in new mount, network and process namespaces. $1 the bench program, $2 the tree, $3 a private directory, $4 the shared one.
set -e
ip link set lo up
# The peers would take a mixed cgroup hierarchy for what it is not.
umount /sys/fs/cgroup/unified 2>/dev/null || true
mkdir -p "$3/layer" "$3/data"
mount -t tmpfs tmpfs "$3/layer"
mkdir "$3/layer/upper" "$3/layer/work" "$3/layer/root"
root=$3/layer/root
mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/layer/upper,workdir=$3/layer/work" "$root"
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/data" "$root/etc/containers" "$root$4"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$3/data" "$root/data"
mount --bind "$4" "$root$4"
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
	[ -e "$root/usr/sbin/$name" ] || ln -s xtables-nft-multi "$root/usr/sbin/$name"
done
[ -e "$root/etc/containers/policy.json" ] || echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$root/etc/containers/policy.json"
[ -e "$root/etc/resolv.conf" ] || echo 'nameserver 192.0.2.53' >"$root/etc/resolv.conf"
touch "$root/bench"
mount --bind "$1" "$root/bench"
exec chroot "$root" /bench worker
