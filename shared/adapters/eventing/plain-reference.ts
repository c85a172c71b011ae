/**
 * Is the text a URI reference at first sight, as `urn:billing` or `/apis/v1/namespaces/x/pingsources/y`? False says
 * nothing: then the `cloudevents` SDK has to look. Its expression for all of RFC 3986 takes 4 ms to be compiled, which the
 * first event of each process waits for.
 */
export function isPlainReference(text: string): boolean {
  // a scheme with a path, or a path; no authority, no escapes, no query
  return /^(?:[a-z][a-z0-9+.-]*:|\/)(?!\/)[\w.~!$&'()*+,;=:@/-]*$/i.test(text);
}
