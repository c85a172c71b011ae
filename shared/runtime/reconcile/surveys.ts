import type { Catalogue } from '#shared/adapters/postgres/shard-instances.ts';
import { type Place, placeOfServer, type ShardSurveys } from '#shared/domain/drift/findings.ts';
import type { Survey, Surveyors } from '#shared/domain/drift/ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import { within } from './within.ts';

/** Servers read at once. */
const serversAtOnce = 8;

/** Places that did not answer, kept by whoever runs several passes: each is waited for once and not by every pass. */
export type Unanswering = Set<Place>;

/** What was read of a shard, and what could not be. */
export type Surveyed = ShardSurveys & { blind: ReadonlySet<Place> };

/**
 * Reads the cluster and all database servers of a shard at once, each with a deadline of its own: one that hangs keeps
 * nothing away but what is on it.
 */
export async function surveyShard(
  surveyors: Surveyors,
  work: { shard: string; catalogue: Catalogue },
  options: { deadlineMs: number; unanswering: Unanswering; onTrouble: (what: string, error: unknown) => void },
): Promise<Surveyed> {
  const blind = new Set<Place>();
  const read = async (place: Place, survey: () => Promise<Survey>): Promise<Survey | undefined> => {
    try {
      if (options.unanswering.has(place)) throw new Failure('unavailable', `${place} did not answer a moment ago.`);
      return await within(options.deadlineMs, survey, place);
    } catch (error) {
      blind.add(place);
      if (!options.unanswering.has(place)) options.onTrouble(`survey of ${place}`, error);
      options.unanswering.add(place);
      return undefined;
    }
  };
  const servers = new Map<string, Survey>();
  const readServers = async () => {
    const waiting = [...work.catalogue.servers.values()];
    const reader = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const { server, reading } = next;
        const place = placeOfServer(server.id);
        if (reading === 'not-now') blind.add(place);
        if (reading === 'now') {
          const survey = await read(place, () => surveyors.server(server, work.shard));
          if (survey !== undefined) servers.set(server.id, survey);
        }
      }
    };
    await Promise.all(Array.from({ length: serversAtOnce }, reader));
  };
  const [cluster] = await Promise.all([read('cluster', () => surveyors.cluster(work.shard)), readServers()]);
  return { cluster, servers, blind };
}
