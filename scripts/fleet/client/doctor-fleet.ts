import { asFailure } from '#shared/domain/failure.ts';
import type { Answer, Api } from './api.ts';
import type { Finding } from './doctor.ts';

type Page = { items: Readonly<Record<string, unknown>>[]; total?: number };

/**
 * What the API itself does without, and the platform does not: database servers, clusters, and what nobody could handle. Only
 * admins see them; to others nothing is told of them.
 */
export async function partsOfFleet(api: Pick<Api, 'look'>): Promise<Finding[]> {
  const looks = [serversOf, placesOf, lettersOf].map((look) => look(api));
  return (await Promise.all(looks)).filter((finding) => finding !== undefined);
}

/** Undefined where it is not to be had by this caller. */
async function pageOf(api: Pick<Api, 'look'>, path: string): Promise<Page | Finding | undefined> {
  let answer: Answer;
  try {
    answer = await api.look(path);
  } catch (caught) {
    return unknown(path, asFailure(caught).message);
  }
  const { status, body } = answer;
  if (status === 200 && Array.isArray((body as Partial<Page> | undefined)?.items)) return body as Page;
  return status >= 500 || status === 429 ? unknown(path, `the API answers ${status}`) : undefined;
}

function unknown(path: string, why: string): Finding {
  const what = path.replace(/^\/v1\/|\?.*$/g, '');
  return {
    what,
    state: 'warning',
    text: `not known: ${why}`,
    remedy: 'see to the parts above first, then look again.',
  };
}

async function serversOf(api: Pick<Api, 'look'>): Promise<Finding | undefined> {
  const what = 'database servers';
  const page = await pageOf(api, '/v1/db-servers?status=active&limit=100');
  if (page === undefined || 'what' in page) return page;
  const unreached = page.items.filter(({ reachedAt }) => reachedAt === null).map(({ id }) => String(id));
  if (unreached.length > 0)
    return {
      ...({ what, state: 'warning', text: `never reached: ${unreached.join(', ')}` } as const),
      remedy:
        'see that it answers "reconcile" and that its password is in the mounted Secret; nothing is placed there until then.',
    };
  const tenants = page.items.filter(({ purpose }) => purpose === 'tenants');
  const room = tenants.reduce((sum, { instances, maxInstances }) => sum + Number(maxInstances) - Number(instances), 0);
  if (room > 0) return { what, state: 'ok', text: `${tenants.length} in use, with room for ${room} instances` };
  const remedy = 'add a server, or raise max_instances of one that has room: provisioning waits until then.';
  return { what, state: 'warning', text: 'no room for another instance', remedy };
}

async function placesOf(api: Pick<Api, 'look'>): Promise<Finding | undefined> {
  const what = 'places';
  const page = await pageOf(api, '/v1/findings?kind=place-unreadable&limit=20');
  if (page === undefined || 'what' in page) return page;
  const names = page.items.map(({ subject }) => String(subject));
  if (names.length === 0) return { what, state: 'ok', text: 'all clusters and servers could be read' };
  const remedy =
    'see that it answers and that its credentials are right; "fleet reconcile --plan" says what it answered.';
  return { what, state: 'failed', text: `could not be read: ${names.join(', ')}`, remedy };
}

async function lettersOf(api: Pick<Api, 'look'>): Promise<Finding | undefined> {
  const what = 'dead letters';
  const page = await pageOf(api, '/v1/dead-events?state=given-up&limit=1&total=true');
  if (page === undefined || 'what' in page) return page;
  if (page.items.length === 0) return { what, state: 'ok', text: 'none was given up' };
  const remedy = 'read why with "fleet dead-letters list", mend that, then replay or discard them.';
  return { what, state: 'warning', text: `${page.total ?? 'some'} were given up`, remedy };
}
