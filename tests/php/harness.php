<?php
/** What a test script needs: it says what it expects, prints each line, and exits with 1 when one fails. */

declare( strict_types=1 );

$GLOBALS['platen_failed'] = 0;

/** Compares exactly, types included. */
function expect( string $what, mixed $want, mixed $got ): void {
	$ok = is_object( $want ) ? $want == $got && get_class( $want ) === get_class( $got ) : $want === $got;
	echo $ok ? "ok   $what\n" : "FAIL $what\n     want " . var_export( $want, true ) . "\n     got  " . var_export( $got, true ) . "\n";
	$GLOBALS['platen_failed'] += $ok ? 0 : 1;
}

register_shutdown_function(
	static function (): void {
		if ( $GLOBALS['platen_failed'] > 0 ) {
			fwrite( STDERR, "{$GLOBALS['platen_failed']} expectations failed\n" );
			exit( 1 );
		}
	}
);
