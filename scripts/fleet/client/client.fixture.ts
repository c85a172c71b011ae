import { afterAll, expect } from 'vitest';
import { apiOfThisFile, testAccess } from '#functions/api/served-api.fixture.ts';
import type { Environment } from '#shared/runtime/config.ts';
import { runFleet } from '../main.ts';
import type { Screen } from '../screen.ts';

/** As long as real ones, so that they would be seen in what is printed. */
export const tokens = { admin: `fleet_a_${'q'.repeat(43)}`, support: `fleet_s_${'w'.repeat(43)}` };

type Options = Parameters<typeof apiOfThisFile>[0];
type Watched = Partial<Pick<Screen, 'ask' | 'columns' | 'hasColours'>> & { onProgress?: (line: string) => void };

/** The program against an API of this file's own. Call it at the top of the file; no token is ever printed. */
export function clientOfThisFile(options: Options = {}) {
  const api = apiOfThisFile({
    ...options,
    access: () => ({
      ...testAccess,
      authenticate: async ({ authorization }) => {
        const caller = Object.entries(tokens).find(([, token]) => authorization === `Bearer ${token}`)?.[0];
        return await testAccess.authenticate({
          authorization: caller === undefined ? authorization : `Bearer ${caller}`,
        });
      },
    }),
  });
  const told: string[] = [];
  afterAll(() => {
    for (const token of Object.values(tokens)) expect(told.join('\n')).not.toContain(token);
  });

  async function run(args: readonly string[], env: Environment, { onProgress, ...watched }: Watched = {}) {
    const printed = { out: [] as string[], errors: [] as string[], progress: [] as string[] };
    const code = await runFleet(args, env, {
      print: (line) => void printed.out.push(line),
      printError: (line) => void printed.errors.push(line),
      progress(line) {
        if (line === undefined) return;
        printed.progress.push(line);
        onProgress?.(line);
      },
      ...watched,
    });
    told.push(...printed.out, ...printed.errors, ...printed.progress);
    return { code, out: printed.out.join('\n'), errors: printed.errors.join('\n'), progress: printed.progress };
  }

  return { api, run };
}
