import { access, constants, stat } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import type { Image } from '../image.ts';
import type { ProcessSpec } from '../processes.ts';
import { expand } from './environment.ts';
import type { Container, VolumeMount } from './objects.ts';
import type { User } from './security.ts';
import { isInside } from './volumes.ts';

export type LaunchInput = {
  name: string;
  container: Container;
  image: Image;
  environment: Record<string, string>;
  /** Real folders by volume name. */
  volumes: ReadonlyMap<string, string>;
  hostName: string;
  user: User | undefined;
  fsGroup: number | undefined;
  logFile: string;
  /** An empty folder; a `root` image's writable layer is mounted on it, seen by its own processes only. */
  scratchFolder: string;
  isRoot: boolean;
};

/** A program to run, the variables and mounts of its container worked in. */
export function launchSpec(input: LaunchInput): ProcessSpec {
  return input.image.kind === 'root' ? rootSpec(input, input.image) : hostSpec(input);
}

/** The container's command line: as in Kubernetes, `command` replaces the image's entry point, `args` follow. */
export function commandLine(container: Container, image: Image, environment: Record<string, string>): string[] {
  const own = [...(container.command ?? image.entrypoint), ...(container.args ?? [])];
  return own.map((word) => expand(word, environment));
}

export type Mount = { source: string; target: string; isReadOnly: boolean };

/** Where each mount's files really are. Deeper targets come last, so that they are not covered. */
export function mountsOf(mounts: readonly VolumeMount[], volumes: ReadonlyMap<string, string>): Mount[] {
  const found = mounts.map(({ name, mountPath, subPath = '', readOnly }) => {
    const folder = volumes.get(name);
    if (folder === undefined) throw new Error(`volumeMount names volume ${name}, which the pod does not have`);
    if (!isInside(subPath)) throw new Error(`subPath ${subPath} leaves its volume`);
    return { source: join(folder, subPath), target: mountPath.replace(/\/+$/, ''), isReadOnly: readOnly === true };
  });
  return found.toSorted((a, b) => a.target.length - b.target.length);
}

/**
 * A program of this machine sees no mounts: every mount path in a text is replaced by the real folder. A path counts
 * only as a whole, up to the next part: `/data` matches in `--dir=/data/x`, not in `/database` or `/srv/data`.
 */
export function rewriteMountPaths(text: string, mounts: readonly Mount[]): string {
  const sources = new Map(mounts.map(({ source, target }) => [target, source]));
  if (sources.size === 0) return text;
  const longestFirst = [...sources.keys()].sort((a, b) => b.length - a.length).map(escaped);
  const pattern = new RegExp(`(?<![\\w./-])(?:${longestFirst.join('|')})(?![\\w.-])`, 'g');
  return text.replace(pattern, (target) => sources.get(target) ?? target);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function hostSpec(input: LaunchInput): ProcessSpec {
  const { container, image, volumes, fsGroup, user } = input;
  const mounts = mountsOf(container.volumeMounts ?? [], volumes);
  const rewrite = (text: string) => rewriteMountPaths(text, mounts);
  const own = Object.entries(input.environment).map(([name, value]) => [name, rewrite(value)]);
  const inherited = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOSTNAME: input.hostName };
  const words = commandLine(container, image, { ...inherited, ...image.env, ...input.environment });
  // The image's own words are real paths of this machine; only the container's are as it would see them.
  const imageWords = container.command === undefined ? image.entrypoint.length : 0;
  const [command = '', ...args] = words.map((word, index) => (index < imageWords ? word : rewrite(word)));
  return {
    name: input.name,
    command,
    args,
    env: { ...inherited, ...image.env, ...Object.fromEntries(own) },
    logFile: input.logFile,
    ...(container.workingDir ? { cwd: rewrite(container.workingDir) } : {}),
    // A spawned process has one group here; the pod's volumes belong to fsGroup.
    ...(input.isRoot && user ? { user: { uid: user.uid, gid: fsGroup ?? user.gid } } : {}),
  };
}

/**
 * Runs inside a mount namespace of its own, so that every mount ends with the process. The image's files are the lower
 * layer of an overlay, as in a container runtime: mount points that the image lacks are made in the upper layer, which
 * lies in memory and goes with the namespace. Thus the shared root is never written to, by however many pods and nodes.
 * TZ is unset because Debian's Odoo fails on a zone that the root does not have.
 */
const rootScript = `
set -e
root=$1 scratch=$2 owner=$3 groups=$4 folder=$5 mounts=$6
shift 6
mount -t tmpfs -o mode=0755,size=512m tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
chmod 0755 "$scratch/upper"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
new=$scratch/root
mkdir -p "$new/proc" "$new/dev" "$new/etc"
mount --rbind /proc "$new/proc"
mount --rbind /dev "$new/dev"
for file in hosts resolv.conf; do
  if [ -e "/etc/$file" ]; then rm -f "$new/etc/$file"; cp "/etc/$file" "$new/etc/$file"; fi
done
while [ "$mounts" -gt 0 ]; do
  # resolved inside, because the image may have absolute links such as /var/run
  source=$1 target=$new$(chroot "$new" realpath -m -- "$2") mode=$3
  shift 3
  mounts=$((mounts - 1))
  if [ -d "$source" ]; then mkdir -p "$target"; else mkdir -p "$(dirname "$target")"; : >>"$target"; fi
  mount --bind "$source" "$target"
  if [ "$mode" = ro ]; then mount -o remount,bind,ro "$target"; fi
done
if [ "$READ_ONLY_ROOT" = yes ]; then mount -o remount,bind,ro "$new"; fi
[ "$KEEP_TZ" = yes ] || unset TZ
unset KEEP_TZ READ_ONLY_ROOT PWD OLDPWD SHLVL
exec chroot --userspec="$owner" --groups="$groups" "$new" /bin/sh -c 'cd "$1" && shift && unset PWD OLDPWD && exec "$@"' sh "$folder" "$@"
`;

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function rootSpec(input: LaunchInput, image: Extract<Image, { kind: 'root' }>): ProcessSpec {
  const { container, user = image.user, fsGroup, volumes } = input;
  const mounts = mountsOf(container.volumeMounts ?? [], volumes);
  const environment = { PATH: defaultPath, HOSTNAME: input.hostName, ...image.env, ...input.environment };
  const groups = [user.gid, ...(fsGroup === undefined ? [] : [fsGroup])].join();
  const triples = mounts.flatMap(({ source, target, isReadOnly }) => [source, target, isReadOnly ? 'ro' : 'rw']);
  const owner = `${user.uid}:${user.gid}`;
  const setup = [
    image.rootFolder,
    input.scratchFolder,
    owner,
    groups,
    container.workingDir ?? '/',
    String(mounts.length),
  ];
  const command = commandLine(container, image, environment);
  return {
    name: input.name,
    command: 'unshare',
    args: ['--mount', '--propagation', 'private', '/bin/sh', '-c', rootScript, 'sh', ...setup, ...triples, ...command],
    env: {
      ...environment,
      KEEP_TZ: Object.hasOwn(input.environment, 'TZ') ? 'yes' : 'no',
      READ_ONLY_ROOT: container.securityContext?.readOnlyRootFilesystem === true ? 'yes' : 'no',
    },
    logFile: input.logFile,
  };
}

/** A command inside a running container, for exec probes. */
export function execSpec(input: LaunchInput, command: readonly string[], pid: number): ProcessSpec {
  const spec = launchSpec({ ...input, container: { ...input.container, command: [...command], args: [] } });
  const { image, user, fsGroup } = input;
  if (image.kind === 'host') return spec;
  const { uid, gid } = user ?? image.user;
  const { KEEP_TZ: _keepTz, READ_ONLY_ROOT: _readOnlyRoot, ...env } = spec.env;
  const words = command.map((word) => expand(word, env));
  const inside = ['--target', String(pid), '--mount', '--root', '--wd', '--setuid', String(uid), '--setgid'];
  return { ...spec, env, command: 'nsenter', args: [...inside, String(fsGroup ?? gid), '--', ...words] };
}

/**
 * Why this user cannot run the program here, or `undefined` if it can. Folders such as /root are closed to other users;
 * a container's root file system never is.
 */
export async function obstacleFor(user: User, spec: ProcessSpec, folder: string): Promise<string | undefined> {
  const program = await programFile(spec);
  const files = [folder, ...(program ? [program] : []), ...spec.args.filter(isAbsolute)];
  for (const file of files) {
    for (let path = dirname(file); ; path = dirname(path)) {
      const entry = await stat(path).catch(() => undefined); // an argument need not be a path at all
      const isOwn = entry?.uid === user.uid || entry?.gid === user.gid;
      if (entry !== undefined && !isOwn && (entry.mode & 0o001) === 0) return path;
      if (path === dirname(path)) break;
    }
  }
  return undefined;
}

async function programFile({ command, env }: ProcessSpec): Promise<string | undefined> {
  if (command.includes('/')) return command;
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, command);
    const isProgram = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isProgram) return file;
  }
  return undefined;
}
