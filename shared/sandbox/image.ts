/**
 * How a container image runs on this machine.
 * `host`: the command is a program of this machine.
 * `root`: the command is a program inside a root file system of its own (chroot), run as the numeric user the image names.
 * `env` is what the image itself sets; a container's own variables go on top. Nothing of the caller's environment is inherited.
 */
export type Image =
  | { kind: 'host'; entrypoint: readonly string[]; env: Record<string, string> }
  | {
      kind: 'root';
      rootFolder: string;
      entrypoint: readonly string[];
      env: Record<string, string>;
      user: { uid: number; gid: number };
    };
