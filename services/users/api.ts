import { z } from 'zod';
import {
  describeEvents,
  EXAMPLE,
  type ServiceApi,
  type ServiceDescription,
} from '../shared/api-docs/route-table.ts';
import { pageQuery } from '../shared/schemas/page-query.ts';
import { id } from '../shared/schemas/types.ts';
import {
  revokedSessionsSchema,
  jwksSchema,
  loginBody,
  logoutBody,
  putUserBody,
  refreshBody,
  registerBody,
  tokenSchema,
  userEvents,
  userListSchema,
  userSchema,
  type User,
} from './contract.ts';
import { config } from './config.ts';
import { METRICS } from './metrics.ts';

const params = z.object({ id });
const EMAIL_TAKEN = { status: 409, description: 'An account with this e-mail address already exists.' };
const password = 'correct horse';
const user: User = {
  user_id: EXAMPLE.customer,
  email: 'ada@example.com',
  name: 'Ada',
  role: 'customer',
};
const tokens = {
  access_token: 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl',
  token_type: 'Bearer',
  expires_in: 3600,
  refresh_token: '01940f8a-3c1d-7e02-b1a4-5d6e7f809102.1.bWFj',
  refresh_expires_in: 2_592_000,
};

/** The users service's routes. */
export const usersApi = {
  'POST /api/users/register': {
    access: 'public',
    rateLimit: 'auth',
    summary: 'Register a user',
    idempotent: true,
    body: registerBody,
    status: 201,
    response: userSchema,
    problems: { 'email-taken': EMAIL_TAKEN },
    examples: { Ada: { email: user.email, password, name: user.name } },
    responseExample: user,
  },
  'POST /api/users/login': {
    access: 'public',
    rateLimit: 'auth',
    summary: 'Log in',
    body: loginBody,
    problems: {
      'wrong-credentials': { status: 401, description: 'The e-mail address or the password is wrong.' },
      'too-many-attempts': { status: 429, description: 'Too many logins have failed.' },
    },
    response: tokenSchema,
    examples: { Ada: { email: user.email, password } },
    responseExample: tokens,
  },
  'POST /api/users/token': {
    access: 'public',
    summary: 'Exchange a refresh token for new tokens',
    body: refreshBody,
    problems: { 'invalid-token': { status: 401, description: 'The refresh token is not valid.' } },
    response: tokenSchema,
    examples: { 'A refresh token': { grant_type: 'refresh_token', refresh_token: tokens.refresh_token } },
    responseExample: tokens,
  },
  'POST /api/users/logout': {
    access: 'customer',
    summary: 'Log out',
    body: logoutBody.optional(),
    status: 204,
  },
  'GET /.well-known/jwks.json': {
    access: 'public',
    summary: 'Get the public keys that verify access tokens',
    response: jwksSchema,
    responseExample: {
      keys: [
        {
          kty: 'EC',
          crv: 'P-256',
          x: 'x-coordinate',
          y: 'y-coordinate',
          kid: 'key-1',
          alg: 'ES256',
          use: 'sig',
        },
      ],
    },
  },
  'GET /api/users': {
    access: 'admin',
    summary: 'List users',
    query: pageQuery,
    response: userListSchema,
    responseExample: { items: [user], next_cursor: null },
  },
  'GET /api/users/:id': {
    access: 'customer',
    summary: 'Get a user',
    params,
    etag: true,
    response: userSchema,
    responseExample: user,
  },
  'PUT /api/users/:id': {
    access: 'customer',
    summary: 'Update a user',
    description:
      'The owner needs `current_password` to change the e-mail address or the password. A new password ends all other sessions.',
    params,
    etag: true,
    body: putUserBody,
    response: userSchema,
    problems: {
      'wrong-password': { status: 403, description: 'The current password is wrong.' },
      'email-taken': EMAIL_TAKEN,
      'too-many-attempts': { status: 429, description: 'The current password was wrong too often.' },
    },
    examples: {
      'A new name': { name: 'Ada L.' },
      'A new password': { password: 'another horse', current_password: password },
    },
    responseExample: { ...user, name: 'Ada L.' },
  },
  'DELETE /api/users/:id': {
    access: 'customer',
    summary: 'Delete a user',
    params,
    status: 204,
  },
  'GET /sessions/revoked': {
    access: 'internal',
    summary: 'List ended sessions whose access tokens have not expired',
    response: revokedSessionsSchema,
  },
} satisfies ServiceApi;

/** What users publishes. */
const events = describeEvents(userEvents, {
  'user.registered': {
    summary: 'A user has registered',
    example: { user, version: 1 },
  },
  'user.updated': {
    summary: 'An account has changed',
    example: { user: { ...user, name: 'Ada L.' }, version: 2 },
  },
  'user.deleted': {
    summary: 'An account is deleted. The personal data of the user must be erased',
    example: { user_id: EXAMPLE.customer, version: 3 },
  },
});

export const users = {
  name: 'users',
  summary: 'Accounts and sessions',
  api: usersApi,
  events: [events],
  calls: {},
  subscribes: [],
  uses: ['state', 'jobs'],
  config,
  metrics: METRICS,
  state: {
    'user:{user_id}': 'An account, or the rest of an erased one.',
    'worklist:{shard}': 'Some of the users with a change that may be unpublished.',
    'email:{sha256 of the address}': 'The id of the account with this address.',
    'registration:{operation}': 'The id of the account that a registration with an Idempotency-Key created.',
    'index:users': 'The number of accounts.',
    'index:users:{page}': 'The ids of a hundred accounts.',
    'session:{session_id}': 'A session with the key of its refresh tokens.',
    'revoked-sessions': 'The ended sessions whose access tokens may still be valid.',
    'token-era': 'The era of new access tokens.',
    'signing-keys': 'The private keys of access tokens, newest last.',
    'logins:{sha256 of address and network}': 'The number of failed logins.',
    'login-wait:{sha256 of address and network}': 'The time until the next login is allowed.',
    'known-network:{sha256 of user and network}': 'A network from which the owner has logged in.',
  },
  schemas: { User: userSchema, UserList: userListSchema, Tokens: tokenSchema },
} satisfies ServiceDescription;
