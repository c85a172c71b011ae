import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooPorts } from '#shared/domain/instance/odoo-conf.ts';
import type { TenantHttp } from '#shared/domain/instance/ports.ts';
import { inSpan } from '../tracing/spans.ts';
import { httpTimeoutMs, openAgent, whyNoAnswer } from './agent.ts';

export type TenantHttpOptions = {
  /** Where tenants live. */
  namespace: string;
  clusterDomain?: string;
  /** `address:port` of a proxy that routes by the Service's name in `Host`, where such names do not resolve. */
  connectTo?: string;
};

/** Reaches tenants through their Services, as the ingress controller does. */
export function openTenantHttp(options: TenantHttpOptions): TenantHttp & { close(): Promise<void> } {
  const { namespace, clusterDomain = 'cluster.local', connectTo } = options;
  const agent = openAgent();

  function requestOf(instance: Instance): { origin: string; host: string } {
    const service = `${namesOf(instance.id).object}.${namespace}.svc.${clusterDomain}:${odooPorts.http}`;
    return connectTo === undefined
      ? { origin: `http://${service}`, host: instance.host }
      : { origin: `http://${connectTo}`, host: service };
  }

  return {
    // A tenant's Odoo is told nothing of our traces.
    loginPageAnswers: (instance) =>
      inSpan({ name: 'odoo GET /web/login', kind: 'client' }, async (note) => {
        const judged = await askForLoginPage(instance);
        note({ 'fleet.answers': judged.answers });
        return judged;
      }),
    close: () => agent.close(),
  };

  async function askForLoginPage(instance: Instance): ReturnType<TenantHttp['loginPageAnswers']> {
    const { origin, host } = requestOf(instance);
    try {
      const { statusCode, headers, body } = await agent.request({
        origin,
        path: '/web/login',
        method: 'GET',
        // What a proxy in front sends: Odoo in proxy mode takes the public address from it.
        headers: {
          host,
          'x-forwarded-host': instance.host,
          'x-forwarded-proto': 'https',
          'x-forwarded-for': '127.0.0.1',
        },
        signal: AbortSignal.timeout(httpTimeoutMs),
      });
      await body.dump();
      return judge(statusCode, headers['location']);
    } catch (error) {
      return { answers: false, reason: whyNoAnswer(error) };
    }
  }
}

/** Only 200 proves the database. Odoo sends who it finds no database for to the page where one is chosen. */
export function judge(status: number, location: string | string[] | undefined): { answers: boolean; reason: string } {
  if (status === 200) return { answers: true, reason: '' };
  if (status >= 300 && status < 400) {
    const target = String(location ?? '')
      .replace(/^https?:\/\/[^/]+/, '')
      .split('?')[0];
    const isUnfound = target?.startsWith('/web/database') ?? false;
    return { answers: false, reason: isUnfound ? 'Odoo does not find its database' : `it redirects to ${target}` };
  }
  return { answers: false, reason: `it answers ${status}` };
}
