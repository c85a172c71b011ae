import { Failure } from '#shared/domain/failure.ts';
import type { Screen } from '../screen.ts';
import type { Call } from './command.ts';
import { plain } from './paint.ts';

/** Of all that destroys something. */
export const yesOption = ['--yes', 'does not ask first; needed where nobody can be asked'] as const;

/**
 * Has the person at the terminal type a name before something is destroyed. `nameOf` is asked for only then.
 * @throws Failure `misconfigured` where nobody can be asked and `--yes` is not said; `cancelled` for another answer.
 */
export async function confirm(
  { screen, options }: { screen: Screen; options: Readonly<Record<string, unknown>> },
  { what, nameOf }: { what: string; nameOf: () => Promise<string> },
): Promise<void> {
  if (options['yes'] === true) return;
  if (screen.ask === undefined) {
    throw new Failure('misconfigured', `${what} Nobody can be asked here: say --yes if that is wanted.`);
  }
  const name = plain(await nameOf());
  const typed = await screen.ask(`${plain(what)}\nType ${name} to go on: `);
  if (typed.trim() === name) return;
  throw new Failure('cancelled', `That was not ${name}: nothing was done.`);
}

/** The same for what is done to the instance that the call names first: by the name that people know it by. */
export async function confirmInstance(call: Call, what: string): Promise<void> {
  const path = `/v1/instances/${encodeURIComponent(call.operands[0] ?? '')}`;
  await confirm(call, { what, nameOf: async () => ((await call.api().get(path)) as { name: string }).name });
}
