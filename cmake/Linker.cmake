# There are two hundred programs of tests, and gold, which Debian's binutils bring along, links each in half
# of the time. What one installs is linked by the compiler's own linker.
if(GW_LINKER)
    include(CheckLinkerFlag)
    check_linker_flag(C -fuse-ld=${GW_LINKER} GW_HAVE_LINKER_${GW_LINKER})
    if(GW_HAVE_LINKER_${GW_LINKER})
        add_link_options(-fuse-ld=${GW_LINKER})
    endif()
endif()
