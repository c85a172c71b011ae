/** Things that were started, to be stopped last first, whatever one of them answers. */
export function stopList() {
  const stops: { name: string; stop: () => Promise<unknown> }[] = [];
  return {
    add<Started extends { stop(): Promise<unknown> }>(name: string, started: Started): Started {
      stops.push({ name, stop: () => started.stop() });
      return started;
    },
    push: (name: string, stop: () => Promise<unknown>) => stops.push({ name, stop }),
    async stopAll() {
      const errors: unknown[] = [];
      for (const { name, stop } of stops.toReversed()) {
        await stop().catch((error: unknown) => errors.push(new Error(`${name} did not stop`, { cause: error })));
      }
      if (errors.length > 0) throw new AggregateError(errors, 'parts of the fleet did not stop');
    },
  };
}

export type StopList = ReturnType<typeof stopList>;
