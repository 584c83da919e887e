<?php
/** The test's way into its bucket: see tests/bucket. */

declare( strict_types=1 );

/** @param array<string, string> $query */
function bucket( string $what, array $query = array(), mixed $body = null ): mixed {
	global $endpoint;
	$curl = curl_init( "$endpoint/_test/$what?" . http_build_query( $query ) );
	curl_setopt_array( $curl, array( CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 70 ) );
	if ( null !== $body ) {
		curl_setopt( $curl, CURLOPT_POSTFIELDS, json_encode( $body ) );
	}
	$answer = curl_exec( $curl );
	if ( false === $answer ) {
		fwrite( STDERR, 'the test’s bucket does not answer: ' . curl_error( $curl ) . "\n" );
		exit( 1 );
	}
	return 200 === curl_getinfo( $curl, CURLINFO_RESPONSE_CODE ) ? json_decode( (string) $answer, true ) : null;
}

/** The next requests fail; without arguments none does. */
function fail( string $kind = '', int $times = 0, string $method = '', string $key = '' ): void {
	bucket( 'faults', array(), '' === $kind ? array() : array( compact( 'method', 'key', 'kind', 'times' ) ) );
}

/** @return list<string> what the bucket was asked since the last question, as "PUT 200" */
function calls(): array {
	return array_map( static fn( array $call ): string => "{$call['method']} {$call['status']}", bucket( 'calls' ) );
}

/** @return list<string> what is left of local copies */
function staged(): array {
	return (array) glob( sys_get_temp_dir() . '/platen-media-*' );
}
