import type { GenericSchema } from 'valibot';
import type { ResponseOf, Route } from './route.ts';

/** A JSON Schema (2020-12, as OpenAPI 3.1 takes it). */
type Schema = Readonly<Record<string, unknown>>;

/** Gives the schema of what comes in, which for text that becomes a number is the text. */
export type SchemaOf = (schema: GenericSchema) => Schema;

/** An OpenAPI 3.1 document. */
export type OpenApiDocument = {
  openapi: string;
  info: { title: string; version: string; description: string };
  servers: readonly { url: string }[];
  security: readonly Schema[];
  paths: Record<string, Record<string, OpenApiOperation>>;
  components: Schema;
};

export type OpenApiOperation = {
  operationId: string;
  summary: string;
  tags: readonly string[];
  security: readonly Schema[];
  description?: string;
  parameters: readonly OpenApiParameter[];
  requestBody?: Schema;
  responses: Readonly<Record<string, Schema>>;
};

export type OpenApiParameter = {
  name: string;
  in: string;
  required: boolean;
  schema: Schema;
  description?: string;
};

const problem = { $ref: '#/components/responses/Problem' };

/** The document of these routes, made from the schemas that check requests. */
export function openApiOf(routes: readonly Route[], schemaOf: SchemaOf): OpenApiDocument {
  const paths: OpenApiDocument['paths'] = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = operationOf(route, schemaOf);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Odoo Fleet',
      version: '1',
      description:
        'Instances of Odoo as a service. What changes something answers 202 with an operation, which is a committed record: ' +
        'poll it or follow its events. Send an Idempotency-Key to be able to repeat a request whose answer was lost.',
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A token of the issuer, or an API key.' },
      },
      schemas: { Problem: problemSchema },
      responses: {
        Problem: {
          description: 'What is wrong (RFC 9457), with the field that is meant.',
          headers: {
            'Retry-After': { description: 'Seconds until asking again may help.', schema: { type: 'integer' } },
          },
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  };
}

function operationOf(route: Route, schemaOf: SchemaOf): OpenApiOperation {
  const isPublic = route.scope === 'anyone';
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.path.split('/')[2] ?? 'documents'],
    ...(isPublic ? {} : { description: descriptionOf(route) }),
    security: isPublic ? [] : [{ bearer: [] }],
    parameters: [
      ...inputsOf(route.params, 'path', schemaOf),
      ...inputsOf(route.query, 'query', schemaOf),
      ...fieldsOf(route),
      ...headersOf(route),
    ],
    ...(route.body === undefined ? {} : { requestBody: bodyOf(route, route.body, schemaOf) }),
    responses: responsesOf(route, schemaOf),
  };
}

function descriptionOf({ scope, destroys }: Route): string {
  return `Needs the scope \`${scope}\`.${destroys === true ? ' Refused to the role support.' : ''}`;
}

function inputsOf(schema: GenericSchema | undefined, place: 'path' | 'query', schemaOf: SchemaOf): OpenApiParameter[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(schema) as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, one]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: one,
  }));
}

function fieldsOf({ fields }: Route): OpenApiParameter[] {
  if (fields === undefined) return [];
  const description = `Only these of ${fields.of === 'items' ? 'each item' : 'the body'}, separated by commas: ${fields.names.join(', ')}.`;
  return [{ name: 'fields', in: 'query', required: false, schema: { type: 'string' }, description }];
}

function headersOf({ method, takes = {}, responses }: Route): OpenApiParameter[] {
  const conditional =
    method === 'GET' && responses[200]?.schema !== undefined
      ? { 'If-None-Match': 'The ETag of an answer before: 304 when nothing has changed.' }
      : {};
  return Object.entries({ ...conditional, ...takes }).map(([name, description]) => ({
    name,
    in: 'header',
    required: false,
    schema: { type: 'string' },
    description,
  }));
}

function bodyOf(route: Route, schema: GenericSchema, schemaOf: SchemaOf): Schema {
  const example = route.bodyExample === undefined ? {} : { example: route.bodyExample };
  return { required: !isOptional(schema), content: { 'application/json': { schema: schemaOf(schema), ...example } } };
}

function isOptional(schema: GenericSchema): boolean {
  return schema.type === 'optional' || schema.type === 'nullish' || schema.type === 'undefinedable';
}

function responsesOf(route: Route, schemaOf: SchemaOf): Record<string, Schema> {
  const own = Object.entries(route.responses).map(([status, response]) => [status, responseOf(response, schemaOf)]);
  const problems = problemStatuses(route).map((status) => [String(status), problem]);
  // what a route says of a status itself goes before
  return Object.fromEntries([...problems, ...own]) as Record<string, Schema>;
}

function problemStatuses({ scope, params, body, method, limit }: Route): number[] {
  return [
    ...(scope === 'anyone' ? [] : [401, 403]),
    400,
    ...(params === undefined ? [] : [404]),
    ...(method === 'GET' ? [] : [409]),
    ...(body === undefined ? [] : [413, 415]),
    ...(limit === 'none' ? [] : [429]),
    503,
  ];
}

function responseOf(
  { description, schema, example, type = 'application/json', headers }: ResponseOf,
  schemaOf: SchemaOf,
) {
  const content =
    schema === undefined && type === 'application/json'
      ? {}
      : {
          content: {
            [type]: {
              schema: schema === undefined ? { type: 'string' } : schemaOf(schema),
              ...(example === undefined ? {} : { example }),
            },
          },
        };
  const described = Object.entries(headers ?? {}).map(([name, text]) => [
    name,
    { description: text, schema: { type: 'string' } },
  ]);
  return { description, ...(headers === undefined ? {} : { headers: Object.fromEntries(described) }), ...content };
}

const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'requestId', 'errors'],
  properties: {
    type: { type: 'string', description: 'urn:odoo-fleet:problem: and the code.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'A sentence a person can act on.' },
    code: { type: 'string' },
    requestId: { type: 'string', description: 'Give it when you ask about it.' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['field', 'detail'],
        properties: {
          field: { type: 'string', description: 'Such as body.name, query.limit or header.if-match.' },
          detail: { type: 'string' },
        },
      },
    },
  },
};
