// A list or section whose lines are all commented out is there and empty: YAML reads null. It means what leaving it out means.
import { Type, type Static, type TSchema } from 'typebox';

/** The schema, or nothing after the colon. */
export function mayBeEmpty<Schema extends TSchema & { readonly type: string }>(
  schema: Schema,
): ReturnType<typeof Type.Unsafe<Static<Schema> | null>> {
  return Type.Unsafe<Static<Schema> | null>({ ...schema, type: [schema.type, 'null'] });
}
