import * as v from 'valibot';
import { askingRules, requireMayAsk } from '#shared/domain/access/asking.ts';
import { type Principal, roles, scopes } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type OperationKind, operationKinds } from '#shared/domain/operation/operation.ts';
import { consolePage, consoleScripts, consoleStyle } from '../console/files.ts';
import { consoleText } from '../console/texts.ts';
import { type Route, route } from '../route.ts';

/** What the page may do: run its own files, which ask this very server. Nothing that is parsed as HTML comes from a script. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const callerBody = v.strictObject({
  kind: v.picklist(['user', 'service', 'key']),
  id: v.string(),
  role: v.picklist(roles),
  customerId: v.nullable(v.string()),
  scopes: v.array(v.picklist(scopes)),
  /** Kinds of operations the caller may ask for, whatever state an instance is in. */
  commands: v.array(v.picklist(operationKinds)),
});

const callerExample: v.InferOutput<typeof callerBody> = {
  kind: 'user',
  id: 'u-1',
  role: 'customer',
  customerId: 'c-1',
  scopes: ['instances:read', 'instances:write'],
  commands: ['start', 'stop'],
};

/** A page for people with a token, and what it asks first. */
export function consoleRoutes(): Route[] {
  return [getCaller(), getPage(), getFile()];
}

function getCaller(): Route {
  return route({
    method: 'GET',
    path: '/v1/me',
    operationId: 'getCaller',
    summary: 'Who you are to us, and what you may ask for.',
    scope: 'instances:read',
    limit: 'read',
    responses: { 200: { description: 'You.', schema: callerBody, example: callerExample } },
    async handle({ principal }) {
      const commands = (Object.keys(askingRules) as OperationKind[]).filter((kind) => mayAsk(principal, kind));
      const { kind, id, role, customerId, scopes: granted } = principal;
      return { status: 200, body: { kind, id, role, customerId, scopes: granted, commands } };
    },
  });
}

function mayAsk(principal: Principal, kind: OperationKind): boolean {
  try {
    requireMayAsk(principal, kind);
    return true;
  } catch (error) {
    if (error instanceof Failure && error.code === 'forbidden') return false;
    throw error;
  }
}

function getPage(): Route {
  return route({
    method: 'GET',
    path: '/console',
    operationId: 'getConsole',
    summary: 'The console: a page for people who have a token.',
    scope: 'anyone',
    limit: 'none',
    responses: { 200: { description: 'A page.', type: 'text/html' } },
    async handle() {
      const headers = { 'content-security-policy': policy };
      return { status: 200, content: { type: 'text/html; charset=utf-8', text: consoleText(consolePage), headers } };
    },
  });
}

function getFile(): Route {
  return route({
    method: 'GET',
    path: '/console/{file}',
    operationId: 'getConsoleFile',
    summary: 'A script of the console, or its style.',
    scope: 'anyone',
    limit: 'none',
    params: v.strictObject({ file: v.picklist([...consoleScripts, consoleStyle]) }),
    responses: { 200: { description: 'A file of the page.', type: 'text/javascript' } },
    async handle({ params: { file } }) {
      const type = file === consoleStyle ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8';
      return { status: 200, content: { type, text: consoleText(file) } };
    },
  });
}
