import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { CURRENCIES } from './money.ts';

/** Money in the currency's minor unit, by ISO 4217. */
export const money = z
  .int()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER)
  .describe('Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.');
/** What has the form of an ISO 4217 code; so old documents and events stay readable when the list changes. */
export const currency = z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as EUR');
/** A currency in which something can be priced from now on. */
export const pricingCurrency = z.enum(CURRENCIES, { error: 'must be an ISO 4217 currency such as EUR' });
/** RFC 3339 in UTC. */
export const timestamp = z.iso.datetime();
/** Ids of products are the shop's own words, such as `mug-blue`. Case matters: services/decisions/0050-one-spelling.md. */
export const productId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must have 1 to 64 characters of A-Z a-z 0-9 _ -');
/** The body of a request that needs none. */
export const noBody = z.strictObject({});
/**
 * Ids that Sidecart gives: UUIDv7, or a derived UUIDv8 / v5. Capitals are accepted, as RFC 9562 (4) asks, and become small
 * letters here, so that all code behind a schema sees one spelling.
 */
export const id = z.uuid().toLowerCase();

/** Nobody sees them, or they make a text look like another one. Joiners and variation selectors shape letters and emoji. */
const HIDDEN =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]|(?![\u200c\u200d\p{Variation_Selector}])\p{Default_Ignorable_Code_Point}/u;
/** The blank of Braille (U+2800) is a symbol that shows nothing. */
const VISIBLE = /(?!\u2800)[\p{L}\p{N}\p{P}\p{S}]/u;

/** Free text of people, such as names and reasons: one line, with something to be seen and nothing that hides. */
export const freeText = (maxLength: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(maxLength)
    // eslint-disable-next-line no-control-regex -- they are what is kept out
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must have no control characters')
    .refine(
      (text) => text === '' || (!HIDDEN.test(text) && VISIBLE.test(text)),
      'must be visible, well-formed Unicode without invisible characters',
    );

const ADDRESS_HINT =
  "must be an address such as ada@example.com, with at most 64 ASCII letters, digits or .!#$%&'*+/=?^_`{|}~- before the @";
/**
 * RFC 5321 (4.1.2) without quoted local parts and address literals, which mail programs take for several addresses, and with
 * the top-level domains of RFC 5890: services/decisions/0024-addresses-and-names.md.
 */
const ADDRESS =
  /^(?=[^@]{1,64}@)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])$/;
const ADDRESS_LENGTH = 254;
const UNICODE_DOMAIN = /^(?=.*\P{ASCII})[\p{L}\p{M}\p{N}.-]+$/u;

/**
 * One spelling for each address: small letters of ASCII, and a domain with other letters as the mail system writes it
 * (RFC 5891). What is no address comes back as something that is none.
 */
function normalizeAddress(text: string): string {
  const domainAt = text.lastIndexOf('@') + 1;
  const domain = text.slice(domainAt);
  const ascii = UNICODE_DOMAIN.test(domain) ? domainToASCII(domain) : domain;
  // Not toLowerCase: it makes letters of ASCII of others, such as the Kelvin sign.
  return (text.slice(0, domainAt) + ascii).replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

const normalized = z.string().trim().max(ADDRESS_LENGTH).overwrite(normalizeAddress);
/** An address as somebody typed it, in its one spelling; whether it can be one is not asked. */
export const typedAddress = normalized.meta({ format: 'email' });
/** The same, and it can be one. */
export const newAddress = normalized
  .max(ADDRESS_LENGTH)
  .refine((address) => ADDRESS.test(address), ADDRESS_HINT)
  .meta({ format: 'email' });
/** An address in its one spelling. */
export const emailAddress = z.email({ pattern: ADDRESS });

/**
 * A whole number in a query or a path: decimal digits, and nothing else that JavaScript would make a number of, such as
 * nothing at all, `5e0` or `0x5`.
 */
export const inDigits = (schema: z.ZodInt) =>
  z.preprocess(
    (text) => (typeof text === 'string' && /^(0|-?[1-9]\d{0,14})$/.test(text) ? Number(text) : text),
    schema,
  );
