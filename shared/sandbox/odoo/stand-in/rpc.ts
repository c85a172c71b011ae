import type { Databases } from './databases.ts';
import type { Options } from './options.ts';

type Site = { options: Options; databases: Databases };

const VERSION = {
  server_version: '19.0',
  server_version_info: [19, 0, 0, 'final', 0, ''],
  server_serie: '19.0',
  protocol_version: 1,
};

/** JSON-RPC 2.0 as Odoo speaks it: failures are an `error` member of a 200 answer. */
export async function answerJsonRpc(text: string, site: Site): Promise<object> {
  const request = parse(text);
  const id = request?.id ?? null;
  const failure = (name: string, message: string) => ({
    jsonrpc: '2.0',
    id,
    error: {
      code: 0,
      message: 'Odoo Server Error',
      data: { name, message, arguments: [message], context: {}, debug: '' },
    },
  });
  if (request === undefined) return failure('builtins.ValueError', 'Invalid JSON data');
  const { service, method, args = [] } = request.params;
  try {
    if (service === 'object') {
      const count = await object(String(method), args, site);
      return count === undefined
        ? failure('odoo.exceptions.AccessDenied', 'Access Denied')
        : { jsonrpc: '2.0', id, result: count };
    }
    if (service === 'common') return { jsonrpc: '2.0', id, result: await common(String(method), args, site) };
    if (service === 'db' && !site.options.listsDatabases)
      return failure('odoo.exceptions.AccessDenied', 'Access Denied');
    if (service === 'db' && method === 'list') return { jsonrpc: '2.0', id, result: await site.databases.list() };
    return failure('builtins.NotImplementedError', `the stand-in has no ${String(service)}.${String(method)}`);
  } catch (error) {
    return failure('builtins.Exception', (error as Error).message);
  }
}

/** XML-RPC of `common`: only what is asked with strings. */
export async function answerXmlRpc(text: string, site: Site): Promise<string> {
  const method = /<methodName>\s*(\w+)\s*<\/methodName>/.exec(text)?.[1] ?? '';
  const args = [...text.matchAll(/<param>\s*<value>(?:\s*<string>)?([^<]*)/g)].map(([, value = '']) => unescape(value));
  try {
    const result = await common(method, args, site);
    const value =
      typeof result === 'number'
        ? `<int>${result}</int>`
        : result === false
          ? '<boolean>0</boolean>'
          : '<struct><member><name>server_version</name><value><string>19.0</string></value></member></struct>';
    return `<?xml version="1.0"?><methodResponse><params><param><value>${value}</value></param></params></methodResponse>`;
  } catch {
    return `<?xml version="1.0"?><methodResponse><fault><value><struct>
<member><name>faultCode</name><value><int>1</int></value></member>
<member><name>faultString</name><value><string>the stand-in cannot do this</string></value></member>
</struct></value></fault></methodResponse>`;
  }
}

async function common(method: string, args: readonly unknown[], { databases }: Site): Promise<number | false | object> {
  if (method === 'version') return VERSION;
  const [database, login, password] = args;
  if (method !== 'authenticate' && method !== 'login') throw new Error(`the stand-in has no common.${method}`);
  if (typeof database !== 'string' || typeof login !== 'string' || typeof password !== 'string') return false;
  return databases.authenticate(database, login, password);
}

/** `execute_kw` of `search_count` over all records, as the superuser. */
async function object(method: string, args: readonly unknown[], { databases }: Site): Promise<number | undefined> {
  const [database, user, password, model, called, given] = args as [
    string,
    number,
    string,
    string,
    string,
    unknown[] | undefined,
  ];
  const domain = given?.[0];
  const isKnown = method === 'execute_kw' && called === 'search_count' && Array.isArray(domain) && domain.length === 0;
  if (!isKnown) throw new Error(`the stand-in has no object.${method} of ${called}`);
  return await databases.countAll(database, { user, password, model });
}

type Request = { id?: unknown; params: { service?: unknown; method?: unknown; args?: unknown[] } };

function parse(text: string): Request | undefined {
  try {
    const value = JSON.parse(text) as Partial<Request> | null;
    if (typeof value?.params !== 'object' || value.params === null) return undefined;
    return {
      id: value.id,
      params: { ...value.params, args: Array.isArray(value.params.args) ? value.params.args : [] },
    };
  } catch {
    return undefined;
  }
}

function unescape(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
