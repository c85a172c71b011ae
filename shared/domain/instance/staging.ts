import type { Instance } from './instance.ts';

/**
 * Where the mails and web requests of staging copies end: a Service of this name beside them, which takes everything, passes
 * nothing on and keeps count. Where it is not installed its name leads nowhere, and neither does what is sent.
 */
export const outboundSink = { service: 'outbound-sink', mailPort: 2525, proxyPort: 3128 } as const;

type Copy = Pick<Instance, 'id' | 'clonedFrom'>;

/** A copy of another instance, for trying things out. It is one for good. */
export function isStaging({ clonedFrom }: Pick<Instance, 'clonedFrom'>): boolean {
  return clonedFrom !== null;
}

/** Whom the sink takes a message or a request to be from: the id is no secret, and the password is none. */
const password = 'staging';

/** Settings of odoo.conf for a copy: a mail for which Odoo finds no server of its own goes to the sink. */
export function stagingMailSettings({ id }: Copy): Readonly<Record<string, string | number | boolean>> {
  const { service, mailPort } = outboundSink;
  return { smtp_server: service, smtp_port: mailPort, smtp_ssl: false, smtp_user: id, smtp_password: password };
}

/** Environment of a copy's Odoo: Python's libraries ask the sink for whatever is not the pod itself. */
export function stagingEnvironment({ id, host }: Copy & Pick<Instance, 'host'>): Readonly<Record<string, string>> {
  const { service, proxyPort } = outboundSink;
  const proxy = `http://${id}:${password}@${service}:${proxyPort}`;
  const direct = ['localhost', '127.0.0.1', '::1', ...(host === '' ? [] : [host])].join(',');
  return { http_proxy: proxy, https_proxy: proxy, HTTPS_PROXY: proxy, no_proxy: direct, NO_PROXY: direct };
}
