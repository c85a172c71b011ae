import * as v from 'valibot';

// Parts of the routes' schemas. Their texts are what a caller reads when a value is wrong.

export const idText = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'Write an id.'));

/** 12 characters of lower-case base32. */
export const instanceId = v.pipe(
  v.string(),
  v.regex(/^[a-z2-7]{12}$/, 'Write an instance id: 12 characters of a-z and 2-7.'),
);

export const uuidText = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'Write a UUID in lower case.'),
);

/** A time as answers have it. */
export const time = v.pipe(v.string(), v.isoTimestamp('Write a time such as 2027-02-01T10:00:00Z.'));
