import type { RoutedRequest } from './respond.ts';

/** A request without anything in it, from somewhere. */
export const routedRequest: RoutedRequest = {
  params: {},
  search: '',
  headers: {},
  rawHeaders: [],
  body: Buffer.alloc(0),
  isTooLarge: false,
  requestId: 'r-1',
  isHead: false,
  address: () => '192.0.2.1',
  signal: new AbortController().signal,
};
