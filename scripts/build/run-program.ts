import { execFile } from 'node:child_process';

/** Runs a program to its end and gives what it printed, trimmed. @throws Error with its last lines when it fails or is too slow. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: { timeoutMs: number; cwd?: string },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const { timeoutMs, cwd } = options;
    const limits = { timeout: timeoutMs, killSignal: 'SIGTERM', maxBuffer: 64 * 1024 * 1024 } as const;
    execFile(command, args, { ...limits, ...(cwd === undefined ? {} : { cwd }) }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout.trim());
      const isLate = error.killed === true;
      const lines = `${stdout}\n${stderr}`.trim().split('\n').slice(-12).join('\n');
      const why = isLate ? `took longer than ${timeoutMs / 1000} s` : `failed (${String(error.code)})`;
      reject(new Error(`${command} ${args.slice(0, 8).join(' ')} … ${why}:\n${lines}`));
    });
  });
}
