import { operationKinds } from '#shared/domain/operation/operation.ts';

/** The functions that a Trigger delivers to: the only places a dead event is replayed straight to. */
export const eventFunctions: readonly string[] = [...operationKinds, 'billing', 'observe', 'webhook', 'notify'];

export type FunctionPlaces = {
  /** FUNCTION_URL: an address with {function} in it. */
  functionUrl: string;
  functions: readonly string[];
};

/**
 * The address of the function that a dead event was meant for: of the one that refused it, or of the one a broker could
 * not reach. It is made from our own settings, never taken from the event: anybody in a cluster can send a dead letter that
 * names any address. undefined when it is none of our functions.
 */
export function originAddress(
  event: { receivedBy: string; origin: string | null },
  { functionUrl, functions }: FunctionPlaces,
): string | undefined {
  const addressOf = (name: string) => functionUrl.replace('{function}', name);
  const { origin } = event;
  const name =
    origin === null
      ? functions.find((one) => one === event.receivedBy)
      : functions.find((one) => comparable(addressOf(one)) === comparable(origin));
  return name === undefined ? undefined : addressOf(name);
}

/** Host in lower case, default port and last slash left out. */
function comparable(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { origin, username, password, pathname, search } = new URL(url);
  return username === '' && password === '' ? `${origin}${pathname.replace(/\/$/, '')}${search}` : undefined;
}
