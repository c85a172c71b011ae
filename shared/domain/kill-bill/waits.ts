/** How long to wait after so many failed looks, the last one included: doubling, and never for more than a minute. */
export function afterFailureMs(failures: number): number {
  return Math.min(60_000, 5_000 * 2 ** Math.max(0, failures - 1));
}

const dayMs = 86_400_000;
const firstIncompleteMs = 5_000;

/**
 * How long until the next look at an account whose subscription does not say yet what to make: the older platform wrote
 * that a moment after the subscription. Doubling; null after about a day, when a person has to.
 */
export function afterIncompleteMs(looks: number): number | null {
  const wait = firstIncompleteMs * 2 ** (looks - 1);
  return wait > dayMs ? null : wait;
}
