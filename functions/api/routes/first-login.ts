import * as v from 'valibot';
import { useFirstLogin } from '#shared/adapters/postgres/first-logins.ts';
import { Failure } from '#shared/domain/failure.ts';
import { hashOfToken, openFirstLogin } from '#shared/domain/notification/first-login.ts';
import { firstLoginPage, firstLoginPolicy } from '../first-login-page.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';

const shown = v.strictObject({ url: v.string(), login: v.string(), password: v.string() });
const example = { url: 'https://acme.odoo.example', login: 'owner@acme.example', password: 'shown-once' };

const wanted = v.strictObject({
  token: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, 'Write what stands behind the # of the link.')),
});

const secret = { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' };

/** One-time links to first passwords. Whoever has the link is let in: it went to the owner's address. */
export function firstLoginRoutes({ database }: Pick<ApiPorts, 'database'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/first-login',
      operationId: 'getFirstLoginPage',
      summary: 'The page behind the link to a first password. It uses nothing up.',
      scope: 'anyone',
      limit: 'none',
      responses: { 200: { description: 'A page with a button.', type: 'text/html' } },
      async handle() {
        const headers = { 'content-security-policy': firstLoginPolicy, ...secret };
        return { status: 200, content: { type: 'text/html; charset=utf-8', text: firstLoginPage, headers } };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/first-login',
      operationId: 'useFirstLogin',
      summary: 'Shows a first password once, and uses all links to it up. An answer that was lost is lost.',
      scope: 'anyone',
      limit: 'attempt',
      body: wanted,
      bodyExample: { token: 'a'.repeat(43) },
      responses: {
        200: { description: 'Where to log in, as whom, with what.', schema: shown, example },
        404: { description: 'There is no such link, it was used, or its time is over.' },
      },
      async handle({ body: { token } }) {
        const hash = hashOfToken(token);
        const found = hash === undefined ? undefined : await useFirstLogin(database, hash);
        const login = found && openFirstLogin({ token, sealed: found.sealed }, found.instanceId);
        if (login === undefined)
          throw new Failure('not-found', 'This link was used, or its time is over. Ask for a new password.');
        return { status: 200, body: login, headers: secret };
      },
    }),
  ];
}
