import { spawn } from 'node:child_process';

export type Kubectl = {
  /** @throws Error with what kubectl said. */
  run(args: readonly string[], options?: { input?: string; timeoutMs?: number }): Promise<string>;
  /** Applies objects on the server's side; conflicts are taken over. */
  apply(input: string | readonly object[]): Promise<void>;
  /** Waits until the Deployments have rolled out. */
  rollout(namespace: string, deployments: readonly string[]): Promise<void>;
};

/** How long a Deployment of the cluster's own may take; it takes seconds. */
const rolloutTimeoutMs = 180_000;

/** A hundred objects with admission webhooks take seconds on a quiet machine, and minutes on one that builds meanwhile. */
const applyTimeoutMs = 300_000;

/** kubectl with one kubeconfig, whatever this process's environment says. */
export function openKubectl(options: { program: string; kubeconfig: string; signal?: AbortSignal }): Kubectl {
  const run: Kubectl['run'] = async (args, { input, timeoutMs = 60_000 } = {}) => {
    const child = spawn(options.program, args, {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', KUBECONFIG: options.kubeconfig },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: timeoutMs,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    // A kubectl that refuses its arguments does not read.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('close', resolve);
    });
    if (code === 0) return output.stdout;
    const words = args.filter((word) => word.length < 100).join(' ');
    const reason = code === null ? `no end within ${timeoutMs / 1000} s` : output.stderr.trim().slice(-2000);
    throw new Error(`kubectl ${words}: ${reason}`);
  };
  return {
    run,
    async apply(input) {
      const text = typeof input === 'string' ? input : JSON.stringify({ apiVersion: 'v1', kind: 'List', items: input });
      const file = ['apply', '--server-side', '--force-conflicts', '--field-manager=fleet-cluster', '-f', '-'];
      await run(file, { input: text, timeoutMs: applyTimeoutMs });
    },
    async rollout(namespace, deployments) {
      const limit = `--timeout=${rolloutTimeoutMs / 1000}s`;
      for (const name of deployments) {
        const args = ['-n', namespace, 'rollout', 'status', `deployment/${name}`, limit];
        await run(args, { timeoutMs: rolloutTimeoutMs + 10_000 });
      }
    },
  };
}
