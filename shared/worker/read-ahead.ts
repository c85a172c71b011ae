/**
 * Begins with up to `ahead` items before their turn comes, and gives the results in the order of the items. A failure is
 * thrown in its turn.
 */
export async function* readAhead<Item, Result>(
  items: Iterable<Item>,
  ahead: number,
  begin: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const begun: Promise<Result>[] = [];
  for (const item of items) {
    const one = begin(item);
    one.catch(() => undefined); // thrown in its turn, if that comes
    begun.push(one);
    const first = begun.length > ahead ? begun.shift() : undefined;
    if (first !== undefined) yield await first;
  }
  for (const one of begun) yield await one;
}
