import { Failure } from '#shared/domain/failure.ts';
import type { Call, KubernetesApi } from './client.ts';
import type { Kind, Stored } from './kinds.ts';

/** Objects per page: some 2 MB of Deployments, half of what the API server itself takes from its store at once. */
const defaultPageSize = 500;

/** A list outlives its snapshot only if pages take minutes (the store keeps five); a second time is not chance. */
const maxBeginnings = 3;

type Page<T> = { items: T[]; metadata?: { continue?: string } };

/**
 * All objects of a kind with these labels, page by page, each once, in the server's order.
 *
 * A list whose snapshot has expired meanwhile (410) is begun anew; objects that were given out already are left out then, so one
 * that changed in between is given as it was first seen.
 *
 * @throws Failure `conflict` when it expired three times: ask for a smaller part. Others as `send` does; it waits as `Retry-After` says.
 */
export async function* listObjects<T extends Stored>(
  api: KubernetesApi,
  kind: Kind,
  options: { namespace: string; labelSelector: string; pageSize?: number },
): AsyncGenerator<T> {
  const { namespace, labelSelector, pageSize = defaultPageSize } = options;
  const given = new Set<string>();
  let token: string | undefined;
  for (let beginnings = 1; ; ) {
    const query = { labelSelector, limit: String(pageSize), ...(token === undefined ? {} : { continue: token }) };
    const call: Call = { method: 'GET', kind, namespace, query };
    const answer = await api.send<Page<T>>(call);
    if ('refusal' in answer) {
      if (answer.refusal.status !== 410 || token === undefined) throw api.failure(call, answer.refusal);
      if (beginnings === maxBeginnings) throw expired(kind, labelSelector);
      beginnings += 1;
      token = undefined;
      continue;
    }
    for (const item of answer.object.items) {
      const name = item.metadata?.name ?? '';
      if (given.has(name)) continue;
      given.add(name);
      yield item;
    }
    token = answer.object.metadata?.continue || undefined;
    if (token === undefined) return;
  }
}

function expired(kind: Kind, labelSelector: string): Failure {
  const what = `The list of ${kind.plural} with ${labelSelector}`;
  return new Failure('conflict', `${what} expired ${maxBeginnings} times before its last page: list a smaller part.`);
}
