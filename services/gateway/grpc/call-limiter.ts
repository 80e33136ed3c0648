import { ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import type { GrpcError } from './errors.ts';

type Call = Parameters<ServerInterceptor>[1];

/** Limits the open calls, and ends the streams of a stopping server. */
export interface CallLimiter {
  interceptor: ServerInterceptor;
  /** Ends all streams. Later messages of their handlers are not sent. */
  endStreams: (failure: GrpcError) => void;
}

/** The maximum of open calls, and of those for health and reflection, which need no token. */
const MAX_CALLS = 2_000;
const MAX_PUBLIC_CALLS = 100;
/** The timeout for the message of a call, because the token is not checked before. */
const FIRST_MESSAGE_TIMEOUT_MS = 10_000;

interface OpenCall {
  isPublic: boolean;
  isStream: boolean;
  isEnded: boolean;
}

export function createCallLimiter(refusal: () => GrpcError): CallLimiter {
  const open = new Map<Call, OpenCall>();

  function end(call: Call, state: OpenCall, failure: Pick<GrpcError, 'code' | 'details'>): void {
    state.isEnded = true;
    open.delete(call);
    call.sendStatus(failure);
  }

  function hasRoomFor({ isPublic }: OpenCall): boolean {
    if (open.size >= MAX_CALLS) return false;
    return !isPublic || [...open.values()].filter((one) => one.isPublic).length < MAX_PUBLIC_CALLS;
  }

  return {
    interceptor: ({ path, responseStream: isStream }, call) => {
      const state: OpenCall = { isPublic: path.startsWith('/grpc.'), isStream, isEnded: false };
      let silence: NodeJS.Timeout | undefined;
      return new ServerInterceptingCall(call, {
        start(next) {
          next({
            onReceiveHalfClose(proceed) {
              clearTimeout(silence);
              if (!state.isEnded) proceed();
            },
            onCancel() {
              clearTimeout(silence);
              open.delete(call);
            },
          });
          if (!hasRoomFor(state)) return end(call, state, refusal());
          open.set(call, state);
          const late = {
            code: status.DEADLINE_EXCEEDED,
            details: 'The request message did not arrive in time.',
          };
          silence = setTimeout(() => end(call, state, late), FIRST_MESSAGE_TIMEOUT_MS).unref();
        },
        sendMessage(message, next) {
          if (!state.isEnded) next(message);
        },
        sendStatus(answer, next) {
          clearTimeout(silence);
          open.delete(call);
          if (!state.isEnded) next(answer);
        },
      });
    },
    endStreams(failure) {
      for (const [call, state] of open) if (state.isStream) end(call, state, failure);
    },
  };
}
