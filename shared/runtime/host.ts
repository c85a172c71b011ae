import type { HttpHandler } from './http-function.ts';
import type { Platform } from './platform.ts';
import { serve } from './serve.ts';
import { handleSignals } from './shutdown.ts';

/**
 * Puts a function on its host. As a program of its own (`isProgram`, an entry's `import.meta.main`) it is served here,
 * with drain and limits; imported by functions-framework it is registered there under its name.
 */
export async function host(
  platform: Platform,
  handler: HttpHandler,
  options: { isProgram: boolean; port: number; drainTimeoutMs: number; bodyLimitBytes?: number },
): Promise<void> {
  if (!options.isProgram) {
    const { http } = await import('@google-cloud/functions-framework');
    http(platform.name, handler);
    return;
  }
  const { log, metrics, shutdown } = platform;
  handleSignals(shutdown, { log });
  const { port } = await serve(handler, {
    port: options.port,
    drainTimeoutMs: options.drainTimeoutMs,
    ...(options.bodyLimitBytes === undefined ? {} : { bodyLimitBytes: options.bodyLimitBytes }),
    log,
    metrics,
    shutdown,
  });
  log.info({ port }, 'listening');
}
