import { type Finding, keyOf, type Place } from './findings.ts';

/** What could not be looked at: nothing found there before is taken as gone. */
export type Blindness = {
  places: ReadonlySet<Place>;
  /** Instances an operation is at work on. */
  moving: ReadonlySet<string>;
};

/** What a pass has to write; nothing when all is as it was. */
export type Changes = {
  /** Not known before, or gone since: news for people. */
  appeared: Finding[];
  /** Known, with another detail or place. */
  altered: Finding[];
  gone: Finding[];
};

/** What is new, changed and gone between the findings that are open and those of a pass. Pure. */
export function changesOf(open: readonly Finding[], found: readonly Finding[], blind: Blindness): Changes {
  const before = new Map(open.map((finding) => [keyOf(finding), finding]));
  const after = new Set(found.map(keyOf));
  return {
    appeared: found.filter((finding) => !before.has(keyOf(finding))),
    altered: found.filter((finding) => {
      const known = before.get(keyOf(finding));
      return known !== undefined && (known.detail !== finding.detail || known.place !== finding.place);
    }),
    gone: open.filter((finding) => !after.has(keyOf(finding)) && !isHidden(finding, blind)),
  };
}

function isHidden(finding: Finding, { places, moving }: Blindness): boolean {
  return places.has(finding.place) || (finding.instanceId !== null && moving.has(finding.instanceId));
}
