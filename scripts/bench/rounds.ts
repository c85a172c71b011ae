/** One arm of a comparison: one measurement per call. */
export type Arms<Name extends string, Sample> = Record<Name, (round: number) => Promise<Sample>>;

/**
 * Measures every arm once per round, every second round in the other order: neither the machine's drift nor what one arm
 * leaves behind for the next favours one of them.
 */
export async function interleave<Name extends string, Sample>(
  rounds: number,
  arms: Arms<Name, Sample>,
  onRound: (round: number) => void = () => undefined,
): Promise<Record<Name, Sample[]>> {
  const names = Object.keys(arms) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Sample[]>;
  for (let round = 0; round < rounds; round += 1) {
    onRound(round);
    for (const name of round % 2 === 0 ? names : names.toReversed()) samples[name].push(await arms[name](round));
  }
  return samples;
}
