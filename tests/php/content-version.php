<?php
/**
 * An announced change of the share reaches compiled code at once. Needs apc.enable_cli=1 and
 * opcache.enable_cli=1 with timestamps that are not looked at, as within the 30 s.
 */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
require_once '/usr/share/platen/lib/ContentVersion.php';

use Platen\ContentVersion;

$share   = sys_get_temp_dir() . '/share';
$outside = sys_get_temp_dir() . '/outside.php';
$copy    = sys_get_temp_dir() . '/copy';
mkdir( "$share/plugins", 0700, true );
$plugin = "$share/plugins/plugin.php";
$write  = static function ( string $file, string $value ): void {
	file_put_contents( $file, "<?php return '$value';" );
	touch( $file, 1000000000 );
};

ContentVersion::follow( $share, $copy );
$write( $plugin, 'one' );
$write( $outside, 'one' );
expect( 'a file is compiled', array( 'one', 'one' ), array( include $plugin, include $outside ) );
expect( 'OPcache keeps it', true, opcache_is_script_cached( $plugin ) );

$write( $plugin, 'two' );
$write( $outside, 'two' );
ContentVersion::follow( $share, $copy );
expect( 'without an announcement the compiled one is used', 'one', include $plugin );
expect( 'announce', true, ContentVersion::announce( $share, $copy ) );
ContentVersion::follow( $share, $copy );
expect( 'after it the new one is, in the same request', 'two', include $plugin );
expect( 'what is not on the share stays compiled', 'one', include $outside );
expect( 'a process that already followed compiles nothing again', true, ( static function () use ( $share, $plugin, $copy ): bool {
	ContentVersion::follow( $share, $copy );
	return opcache_is_script_cached( $plugin );
} )() );

// Another task announces: this one hears of it from its agent, who copies the file.
$write( $plugin, 'from elsewhere' );
ContentVersion::announce( $share, sys_get_temp_dir() . '/of another task' );
ContentVersion::follow( $share, $copy );
expect( 'before the agent has looked', 'two', include $plugin );
copy( "$share/.platen/content-version", $copy );
ContentVersion::follow( $share, $copy );
expect( 'after it has', 'from elsewhere', include $plugin );

unlink( $plugin );
ContentVersion::announce( $share, $copy );
ContentVersion::follow( $share, $copy );
$write( $plugin, 'three' );
ContentVersion::announce( $share, $copy );
ContentVersion::follow( $share, $copy );
expect( 'deleted and installed again', 'three', include $plugin );
expect( 'nothing is left beside the version', array( 'content-version' ), array_values( array_diff( scandir( "$share/.platen" ), array( '.', '..' ) ) ) );

expect( 'a share that cannot be written is said, and no error', false, ContentVersion::announce( '/proc/none', $copy ) );
